"""Annotating what stands in object storage, into object storage."""

import json
from pathlib import Path

import pytest

from data_prep.storage.storage import list_files, read, write
from maskx_model.annotate.annotate import AnnotateOptions, annotate
from tests.maskx_model.annotate.small_boxes import NAMES, annotation, write_boxes
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

pytestmark = pytest.mark.services


def upload(folder: Path, uri: str) -> str:
    for path in folder.rglob("*"):
        if path.is_file():
            write(f"{uri}/{path.relative_to(folder)}", path.read_bytes())
    return uri


def test_files_of_a_bucket_are_annotated_as_those_on_disk(store: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", NAMES, "transfer")
    write_boxes(tmp_path / "in", [annotation(1), annotation(2, 2)])
    there, out = upload(tmp_path / "in", f"{store}/in"), f"{store}/out"
    annotate(
        AnnotateOptions(upload(tmp_path / "model", f"{store}/model"), out, f"a=coco:{there}/boxes.json,{there}/images")
    )
    annotate(AnnotateOptions(model, str(tmp_path / "out"), f"a=coco:{tmp_path}/in/boxes.json,{tmp_path}/in/images"))
    assert sorted(list_files(out)) == ["boxes.json", "page.html", "summary.json"]
    remote = json.loads(read(f"{out}/boxes.json"))["annotations"]
    local = json.loads((tmp_path / "out/boxes.json").read_text())["annotations"]
    assert [a["segmentation"] for a in remote] == [a["segmentation"] for a in local]


def test_a_dataset_of_a_bucket_is_annotated(store: str, tmp_path: Path) -> None:
    records, _ = random_world(0, 6, NAMES)
    write_dataset(tmp_path / "data", records, NAMES)
    model = write_model(tmp_path / "model", NAMES, "transfer")
    dataset = upload(tmp_path / "data", f"{store}/data")
    summary = annotate(
        AnnotateOptions(model, f"{store}/out", dataset=dataset, split="val", source_name="coco", replace="all")
    )
    assert summary.outcomes["segmented"] > 0
