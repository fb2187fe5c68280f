"""AP measured on the shards is the official AP on the original files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_prep.format.reader import Dataset
from data_prep.inspect.verify import find_problems
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from tests.data_prep.prepare.test_prepare import read_json


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_ap_from_the_shards_is_the_official_ap(toy_original: Path, toy_dataset: Path, kind: str) -> None:
    path = toy_original / "coco/annotations/instances_val2017.json"
    official, ours = COCO(str(path)), from_shards(toy_dataset, read_json(path)["categories"])
    detections = perturbed(official)
    assert np.abs(ap(official, detections, kind) - ap(ours, detections, kind)).max() <= 1e-9
    assert 0.05 < ap(official, detections, kind)[0] < 0.95


def from_shards(uri: Path, categories: list[dict[str, Any]]) -> COCO:
    """The validation ground truth as COCO's API takes it, from nothing but the shards."""
    dataset = Dataset.open(str(uri))
    ids = {c["name"]: c["id"] for c in categories}
    rows = dataset.select("val", "coco")
    annotations = [
        {
            "id": a.id,
            "image_id": row.ids["coco"],
            "category_id": ids[a.category],
            "bbox": list(a.bbox),
            "area": a.area,
            "iscrowd": a.iscrowd,
            "segmentation": {"size": list(a.mask.size), "counts": a.mask.counts} if a.mask else [],
        }
        for row in rows
        for a in dataset.read_record(row).objects["coco"]
    ]
    images = [{"id": row.ids["coco"], "height": row.height, "width": row.width} for row in rows]
    coco = COCO()
    coco.dataset = {"images": images, "annotations": annotations, "categories": categories, "info": {}}
    coco.createIndex()
    return coco


def perturbed(truth: COCO) -> list[dict[str, Any]]:
    """Ground truth moved a little, some of it under another class, as detections."""
    rng = np.random.default_rng(0)
    categories = truth.getCatIds()
    detections = []
    for a in truth.loadAnns(truth.getAnnIds(iscrowd=False)):
        dx, dy = rng.integers(-6, 7, 2)
        mask = np.roll(truth.annToMask(a), (dy, dx), axis=(0, 1))
        wrong = rng.random() < 0.2
        detections.append(
            {
                "image_id": a["image_id"],
                "category_id": int(rng.choice(categories)) if wrong else a["category_id"],
                "bbox": [a["bbox"][0] + dx, a["bbox"][1] + dy, *a["bbox"][2:]],
                "segmentation": encode(mask),
                "score": float(rng.random()),
            }
        )
    return detections


def encode(mask: Any) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    rle: dict[str, Any] = coco_mask.encode(np.asfortranarray(mask))
    return rle


def ap(truth: COCO, detections: list[dict[str, Any]], kind: str) -> Any:
    evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(detections, default=bytes.decode))), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


def test_the_real_sample_is_prepared(tmp_path: Path, real_sample: Path) -> None:
    sources = (f"coco=coco:{real_sample}/coco", f"vg=vg:{real_sample}/visual_genome")
    manifest = prepare(PrepareOptions(sources=sources, out=f"{tmp_path}/real"))
    totals = {s: sum(c["photographs"] for c in parts.values()) for s, parts in manifest.counts.items()}
    assert totals["val"] == 60
    assert manifest.counts["val"]["coco+vg"]["photographs"] == 11  # the twelfth has no id to know it by
    assert manifest.rejected["vg"] == {"unknown_image": 2, "zero_size": 7}
    assert len(Dataset.open(f"{tmp_path}/real").vocabulary) > 80
    assert find_problems(f"{tmp_path}/real") == []
    path = real_sample / "coco/annotations/instances_val2017.json"
    official, ours = COCO(str(path)), from_shards(tmp_path / "real", read_json(path)["categories"])
    detections = perturbed(official)
    assert np.abs(ap(official, detections, "segm") - ap(ours, detections, "segm")).max() <= 1e-9
