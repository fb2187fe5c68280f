"""Sizes of images that are wrong, and boxes of another kind: settled, noted, rejected or refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import DataError
from tests.data_prep.prepare.own_source import made, write
from tests.data_prep.prepare.test_small_datasets import records
from tests.data_prep.rejects import read_rejects
from tests.data_prep.small_sources import coco_image, coco_object, jpeg, prepare_plainly


@pytest.mark.parametrize("size", [{"width": None}, {"width": 0, "height": 0}, {"width": "wide"}, {"height": 31}])
def test_the_size_of_the_file_is_taken_where_the_list_lacks_it_or_is_wrong(
    tmp_path: Path, size: dict[str, Any]
) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1)])
    document = json.loads((tmp_path / "own.json").read_text())
    document["images"][0].update(size)
    (tmp_path / "own.json").write_text(json.dumps(document))
    manifest = made(tmp_path, f"mine=coco:{source}")
    (record,) = records(tmp_path / "out").values()
    assert (record.width, record.height) == (40, 30)
    assert record.objects["mine"][0].mask is not None
    assert manifest.repaired == {"mine": {"size_from_file": 1}}


@pytest.mark.parametrize("size", [(30, 40), (80, 60), (12, 30)])
def test_annotations_of_other_pixels_are_rejected_with_both_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    images = [coco_image(number) for number in range(1, 6)]
    source = write(tmp_path, images, [coco_object(n, n, bbox=[20, 3, 18, 5], segmentation=[]) for n in range(1, 6)])
    (tmp_path / "images/000000000005.jpg").write_bytes(jpeg(5, size))
    made(tmp_path, f"mine=coco:{source}")
    (reject,) = read_rejects(f"{tmp_path}/out/rejects.parquet")
    assert (reject.id, reject.reason) == (5, "size_mismatch")
    assert f"{size[0]}×{size[1]} pixels, listed as 40×30" in reject.excerpt


@pytest.mark.parametrize("size", [(80, 40), (39, 50)])
def test_boxes_that_may_be_of_a_stretched_copy_are_noted(tmp_path: Path, size: tuple[int, int]) -> None:
    source = write(tmp_path, [coco_image(1)], [coco_object(1, 1, bbox=[20, 3, 18, 5], segmentation=[])])
    (tmp_path / "images/000000000001.jpg").write_bytes(jpeg(1, size))
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert manifest.noted["mine"]["boxes_of_listed_size"] == 1
    assert manifest.repaired == {"mine": {"size_from_file": 1}}


@pytest.mark.parametrize(
    ("size", "boxes"), [((80, 40), [[20, 3, 30, 5], [2, 3, 4, 5]]), ((39, 20), [[20, 3, 18, 5]]), ((80, 40), [])]
)
def test_boxes_that_fit_the_file_alone_or_none_are_not_noted(
    tmp_path: Path, size: tuple[int, int], boxes: list[list[int]]
) -> None:
    objects = [coco_object(number, 1, bbox=box, segmentation=[]) for number, box in enumerate(boxes)]
    source = write(tmp_path, [coco_image(1)], objects)
    (tmp_path / "images/000000000001.jpg").write_bytes(jpeg(1, size))
    manifest = made(tmp_path, f"mine=coco:{source}")
    assert "boxes_of_listed_size" not in manifest.noted.get("mine", {})
    (record,) = records(tmp_path / "out").values()
    assert ((record.width, record.height), len(record.objects["mine"])) == (size, len(boxes))


@pytest.mark.parametrize(
    ("box", "look"),
    [([20, 15, 38, 28], "look like x1 y1 x2 y2"), ([0.2, 0.1, 0.5, 0.4], "look like fractions of the image")],
)
def test_boxes_of_another_kind_are_refused_with_what_they_look_like(
    tmp_path: Path, box: list[float], look: str
) -> None:
    images = [coco_image(number) for number in range(1, 11)]
    source = write(tmp_path, images, [coco_object(n, n, bbox=box, segmentation=[]) for n in range(1, 11)])
    with pytest.raises(DataError, match=look):
        made(tmp_path, f"mine=coco:{source}")


def test_boxes_within_the_first_pixel_are_noted_and_most_of_them_refused(tmp_path: Path) -> None:
    boxes = [[2, 3, 10, 5], [4, 3, 10, 5], [6, 3, 10, 5], [0.1, 0.2, 0.5, 0.5]]
    objects = [coco_object(n, 1, bbox=box, segmentation=[]) for n, box in enumerate(boxes)]
    manifest = made(tmp_path / "few", f"mine=coco:{write(tmp_path / 'few', [coco_image(1)], objects)}")
    assert manifest.noted["mine"]["box_of_fractions"] == 1
    most = [coco_object(n, 1, bbox=[n / 9, 0.2, 0.1, 0.5], segmentation=[]) for n in range(4)]
    source = write(tmp_path / "most", [coco_image(1)], most)
    with pytest.raises(DataError, match=r"4 of 4 boxes lie between 0 and 1"):
        prepare(PrepareOptions((f"mine=coco:{source}",), f"{tmp_path}/refused"))


def two_sources(folder: Path, size: dict[str, Any], other: dict[str, Any], **fields: Any) -> tuple[str, str]:
    """Two sources' files over one folder of images of 40×30 pixels, each with the size that it lists."""
    options = []
    for name, listed in (("mine", size), ("yours", other)):
        source = write(folder, [coco_image(1)], [coco_object(1, 1, **(fields if name == "yours" else {}))])
        document = json.loads((folder / "own.json").read_text())
        document["images"][0].update(listed)
        (folder / f"{name}.json").write_text(json.dumps(document))
        options.append(f"{name}=coco:{source.replace('own.json', f'{name}.json')}")
    return options[0], options[1]


KNOWN: dict[str, Any] = {}
ABSENT = {"width": None, "height": None}


@pytest.mark.parametrize(
    ("size", "other"),
    [(ABSENT, ABSENT), (KNOWN, ABSENT), (ABSENT, KNOWN), (KNOWN, {"width": 41}), ({"width": 44}, KNOWN)],
)
def test_a_file_that_two_sources_list_is_one_image_of_its_files_size(
    tmp_path: Path, size: dict[str, Any], other: dict[str, Any]
) -> None:
    manifest = made(tmp_path, *two_sources(tmp_path, size, other))
    (record,) = records(tmp_path / "out").values()
    assert (record.width, record.height) == (40, 30)
    assert record.objects["mine"] == record.objects["yours"]
    assert record.objects["mine"][0].bbox == (2.0, 3.0, 10.0, 5.0)
    wrong = [name for name, listed in (("mine", size), ("yours", other)) if listed]
    assert manifest.repaired == {name: {"size_from_file": 1} for name in wrong}
    assert (manifest.left_out, manifest.rejected) == ({}, {})


def test_boxes_of_other_pixels_cost_the_copy_that_has_them(tmp_path: Path) -> None:
    wide = {"bbox": [30, 3, 14, 5], "segmentation": []}
    options = two_sources(tmp_path, KNOWN, {"width": 44}, **wide)
    manifest = prepare_plainly(tmp_path / "out", *options)
    (record,) = records(tmp_path / "out").values()
    assert record.ids == {"mine": 1}
    assert manifest.rejected == {"yours": {"size_mismatch": 1}}
    assert manifest.left_out == {"yours": {"photograph_rejected": 1}}
