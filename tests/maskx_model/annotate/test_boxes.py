"""Which annotations are segmented: each is, or is not for one reason, however its file is written."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.sources.coco import list_coco
from data_prep.sources.json_files import map_file
from data_prep.sources.options import CocoFiles
from maskx_model.annotate.boxes import Boxes, BoxesReader, has_mask
from maskx_model.annotate.outcomes import OUTCOMES
from tests.maskx_model.annotate.small_boxes import MASK, annotation, write_boxes


def read(folder: Path, annotations: list[Any]) -> Boxes:
    write_boxes(folder, annotations)
    return read_written(folder)


def read_written(folder: Path) -> Boxes:
    path = f"{folder}/boxes.json"
    listing = list_coco(CocoFiles("mine", "train", str(folder), path, f"{folder}/images"), 0)
    known = {"Cup": 0, "chair": 1}
    return BoxesReader(map_file(path), listing, 3, lambda name, _: known.get(name), "none").read()


WRITTEN = [
    ({}, True),
    ({"image_id": "1", "bbox": ["20.5", 15, 60.0, "50"]}, True),
    ({"category_id": 1.0, "iscrowd": False}, True),
    ({"iscrowd": None, "area": "big", "score": [1]}, True),
    ({"id": "a-1", "segmentation": [[]]}, True),
    ({"segmentation": ""}, True),
    ({"segmentation": [[20.5, 15, 60, 50]]}, True),
    ({"segmentation": [[1, 2, 3]]}, True),
    ({"segmentation": MASK}, False),
    ({"segmentation": {"size": [120, 160], "counts": [0, 10, 19190]}}, False),
    ({"bbox": None}, False),
    ({"bbox": [1, 2, 3]}, False),
    ({"category_id": "99"}, False),
    ({"image_id": None}, False),
    ({"iscrowd": "yes"}, False),
]


@pytest.mark.parametrize(("fields", "segmented"), WRITTEN)
def test_a_box_is_read_however_it_is_written(fields: dict[str, Any], segmented: bool, tmp_path: Path) -> None:
    boxes = read(tmp_path, [annotation(1, **fields)])
    objects = [(*row[:4], list(row[4])) for group in boxes.objects for row in group.tolist()]
    assert objects == ([(0, 3, 0, 0, [20.5, 15.0, 60.0, 50.0])] if segmented else [])
    assert sum(boxes.outcomes.values()) == 1 - segmented


@pytest.mark.parametrize("number", [-5, 2**53 + 1, 2**60 + 1])
def test_an_id_that_is_mapped_is_found(number: int, tmp_path: Path) -> None:
    """Its listing knows negative and very large ids by another number."""
    write_boxes(tmp_path, [])
    document = json.loads((tmp_path / "boxes.json").read_text())
    document["images"][1]["id"] = document["categories"][1]["id"] = number
    document["annotations"] = [annotation(1, number, category_id=number), annotation(2)]
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    boxes = read_written(tmp_path)
    assert [row[:4] for group in boxes.objects for row in group.tolist()] == [(1, 3, 0, 1), (0, 3, 1, 0)]


def test_an_id_of_several_files_names_no_image(tmp_path: Path) -> None:
    write_boxes(tmp_path, [annotation(1), annotation(2, 2)])
    document = json.loads((tmp_path / "boxes.json").read_text())
    document["images"] += [{**document["images"][0], "file_name": "3.png"}, document["images"][1]]
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    boxes = read_written(tmp_path)
    assert boxes.outcomes == {"no_image": 1}
    assert [row[:3] for group in boxes.objects for row in group.tolist()] == [(1, 3, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boxes")


anything = st.none() | st.booleans() | st.integers(-3, 200) | st.floats(-9, 200) | st.text(max_size=3)
fields = st.dictionaries(
    st.sampled_from(["image_id", "category_id", "bbox", "iscrowd", "segmentation", "provenance", "note"]),
    anything | st.lists(anything, max_size=5),
)
annotations = st.lists(st.sampled_from([f for f, _ in WRITTEN]) | fields, max_size=8)


@given(given_fields=annotations)
def test_every_annotation_is_segmented_or_has_one_outcome(folder: Path, given_fields: list[dict[str, Any]]) -> None:
    boxes = read(folder, [annotation(number, **each) for number, each in enumerate(given_fields)])
    objects = [row for group in boxes.objects for row in group.tolist()]
    assert boxes.annotations == len(given_fields) == len(objects) + sum(boxes.outcomes.values())
    assert boxes.outcomes.keys() <= OUTCOMES.keys()
    numbers = [number for _, _, number, _, _ in objects]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("nothing", [None, [], [[]], {}, "", [1, 2, 3, 4], [[5, 5, 9, 9]]])
def test_what_is_no_mask_is_none(nothing: Any) -> None:
    assert not has_mask(msgspec.Raw(json.dumps(nothing).encode()), (1.0, 2.0, 3.0, 4.0))


def test_a_box_of_many_digits_is_no_mask() -> None:
    box = (123.45678901234567, 1.2345678901234567e-05, 301.23456789012345, 99.99999999999999)
    assert not has_mask(msgspec.Raw(json.dumps([box]).encode()), box)
    assert not has_mask(msgspec.Raw(json.dumps([[str(number) for number in box]], indent=8).encode()), box)
