"""Prepared datasets are annotated too, and annotated files are prepared."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from data_prep.format.reader import Dataset
from data_prep.format.rle import mask_area
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import DataError
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import predict
from maskx_model.inference.segmenter import Segmenter
from tests.maskx_model.annotate.small_boxes import CATEGORIES, MASK, NAMES, annotation, write_boxes
from tests.maskx_model.annotate.small_runs import annotated, run
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset


def test_masks_are_those_of_evaluation_on_ground_truth_boxes(model: str, tmp_path: Path) -> None:
    records, _ = random_world(0, 12, NAMES)
    write_dataset(tmp_path / "data", records, NAMES)
    run(model, tmp_path / "out", dataset=f"{tmp_path}/data", split="val", source_name="coco", replace="all")
    data, segmenter = Dataset.open(f"{tmp_path}/data"), Segmenter.load(model)
    labels = {name: at for at, name in enumerate(NAMES)}
    made = {each["id"]: each["segmentation"] for each in annotated(tmp_path / "out", "coco-val.json")}
    for row in data.rows:
        truth = GroundTruth.of(data.read_record(row), "coco", labels)
        (given,) = predict([(data.pixels(row), truth)], {"m": segmenter.model})["m"].on_ground_truth_boxes
        real = [thing for thing in truth.objects if not thing.iscrowd]
        for thing, mask in zip(real, given.masks, strict=True):
            if mask_area(mask):
                assert made[thing.id]["counts"] == mask.counts


def test_a_prepared_dataset_comes_back_as_a_coco_file(model: str, tmp_path: Path) -> None:
    records, _ = random_world(1, 6, [*NAMES, "rare thing"])
    write_dataset(tmp_path / "data", records, [*NAMES, "rare thing"])
    options = {"dataset": f"{tmp_path}/data", "split": "val", "source_name": "coco"}
    summary = run(model, tmp_path / "out", **options)
    objects = [o for r in records for o in r.objects["coco"]]
    assert summary.outcomes == {"has_a_mask": len(objects)}
    found = annotated(tmp_path / "out", "coco-val.json")
    assert [(a["id"], tuple(a["bbox"]), a["segmentation"]["counts"]) for a in found] == [
        (o.id, o.bbox, o.mask.counts if o.mask else "") for o in objects
    ]
    with pytest.raises(DataError, match=r"no split 'train' of source 'coco'; it has val of coco"):
        run(model, tmp_path / "other", **{**options, "split": "train"})


def test_ids_of_a_prepared_dataset_are_those_of_its_files(model: str, tmp_path: Path) -> None:
    (record,), _ = random_world(1, 1, NAMES)
    things = [msgspec.structs.replace(o, original_id=f"a-{o.id}") for o in record.objects["coco"]]
    named = msgspec.structs.replace(record, objects={"coco": things}, original_ids={"coco": "photo 1"})
    write_dataset(tmp_path / "data", [named], NAMES)
    run(model, tmp_path / "out", dataset=f"{tmp_path}/data", split="val", source_name="coco", replace="all")
    found = annotated(tmp_path / "out", "coco-val.json")
    assert {(a["id"], a["image_id"]) for a in found} == {(thing.original_id, "photo 1") for thing in things}
    assert any("provenance" in a for a in found)


def test_an_annotated_file_is_a_source_whose_made_masks_are_marked(model: str, tmp_path: Path) -> None:
    write_boxes(tmp_path, [annotation(1, segmentation=MASK), annotation(2, 2)], categories=CATEGORIES[:2])
    run(model, tmp_path / "out", f"mine=coco:{tmp_path}/boxes.json,{tmp_path}/images")
    sources = (f"teacher=coco:{tmp_path}/out/boxes.json,{tmp_path}/images",)
    prepare(PrepareOptions(sources=sources, out=str(tmp_path / "data")))
    data = Dataset.open(f"{tmp_path}/data")
    objects = {o.id: o for row in data.rows for o in data.read_record(row).objects["teacher"]}
    assert (objects[1].provenance, objects[1].mask_score) == (None, None)
    assert str(objects[2].provenance).startswith("maskx annotate ")
    assert objects[2].mask_score == annotated(tmp_path / "out")[1]["score"]
    options: dict[str, Any] = {"dataset": data.uri, "source_name": "teacher"}
    assert run(model, tmp_path / "kept", **options).outcomes == {"has_a_mask": 2}
    assert run(model, tmp_path / "anew", **options, replace="made").outcomes == {"segmented": 1, "has_a_mask": 1}
