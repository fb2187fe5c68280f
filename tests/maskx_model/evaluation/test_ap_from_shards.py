"""AP measured on a prepared dataset is pycocotools' AP on the original JSON: the shards lose nothing that counts."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_prep.format.reader import Dataset
from data_prep.format.records import Rle
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.toy_world import write_toy_world
from maskx_model.evaluation.coco_ap import METRICS, IouType, average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.results.coco_results import category_ids
from maskx_model.results.instances import Instances


@pytest.fixture(scope="module")
def toy_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "world"
    write_toy_world(folder, images=24, val_images=40, seed=5)
    return folder / "coco"


def test_toy_world(toy_coco: Path, tmp_path: Path) -> None:
    assert_same_ap(toy_coco, tmp_path)


def test_real_images(real_sample: Path, tmp_path: Path) -> None:
    assert_same_ap(real_sample / "coco", tmp_path)


def assert_same_ap(coco: Path, tmp_path: Path) -> None:
    prepare(PrepareOptions(sources=(f"coco=coco:{coco}",), out=str(tmp_path / "data"), max_rejected=0.1))
    data = Dataset.open(str(tmp_path / "data"))
    with contextlib.redirect_stdout(io.StringIO()):
        original = COCO(coco / "annotations/instances_val2017.json")
    labels = exhaustive_classes(data, "coco")
    numbers = category_ids(data.vocabulary)
    positions = {number: position for position, number in enumerate(numbers)}
    ground_truth = [GroundTruth.of(data.read_record(row), "coco", labels) for row in data.select("val", "coco")]
    assert {annotated.image_id for annotated in ground_truth} == set(original.imgs)
    results = {image: guesses(original, image, seed) for seed, image in enumerate(sorted(original.imgs))}
    predictions = [as_instances(results[annotated.image_id], positions) for annotated in ground_truth]
    for iou_type in ("bbox", "segm"):
        measured = average_precision(ground_truth, predictions, iou_type, labels.values()).mean()
        expected = reference(original, [r for each in results.values() for r in each], iou_type)
        assert expected[0] > 0.05
        for metric, number in zip(METRICS, expected, strict=True):
            ap = measured[metric]
            assert (-1 if ap is None else ap / 100) == pytest.approx(number, abs=1e-9)


def guesses(original: COCO, image: int, seed: int) -> list[dict[str, Any]]:
    """Two detections an object, as if by a mediocre model: shifted, some of another class, scores with ties."""
    rng = np.random.default_rng(seed)
    results = []
    for annotation in original.imgToAnns[image] * 2:
        shift = rng.integers(-4, 5, 2)
        mask = np.roll(original.annToMask(annotation), shift, axis=(0, 1))
        rle = rle_codec.encode(np.asfortranarray(mask))
        corner = np.float32(annotation["bbox"][:2]) + shift[::-1].astype(np.float32)
        end = corner + np.float32(annotation["bbox"][2:])
        category = annotation["category_id"] if rng.uniform() < 0.8 else rng.choice(list(original.cats))
        box = [*corner.tolist(), *(end.astype(float) - corner).tolist()]
        score = float(np.float32(rng.integers(1, 20) / 20))
        segmentation = {"size": rle["size"], "counts": rle["counts"].decode()}
        results.append(
            {"image_id": image, "category_id": int(category), "bbox": box, "score": score, "segmentation": segmentation}
        )
    return results


def as_instances(results: list[dict[str, Any]], positions: dict[int, int]) -> Instances:
    boxes = [(x, y, x + w, y + h) for x, y, w, h in (r["bbox"] for r in results)]
    return Instances(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array([positions[r["category_id"]] for r in results], np.int64),
        scores=np.array([r["score"] for r in results], np.float32),
        masks=[Rle(tuple(r["segmentation"]["size"]), r["segmentation"]["counts"]) for r in results],
    )


def reference(original: COCO, results: list[dict[str, Any]], iou_type: IouType) -> list[float]:
    kept = ("image_id", "category_id", "score", "bbox" if iou_type == "bbox" else "segmentation")
    with contextlib.redirect_stdout(io.StringIO()):
        predictions = original.loadRes([{name: r[name] for name in kept} for r in results])
        run = COCOeval(original, predictions, iou_type)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return list(run.stats[:6])
