"""An annotation that is not written as COCO does: repaired where it is plain; a bad mask never costs its box."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.format.records import Annotation
from data_prep.format.rle import encode_run_lengths, mask_area
from data_prep.sources.coco_annotations import add_coco_annotation, annotation_image_id
from data_prep.sources.coercions import LARGEST_ID, to_id
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, RawRecord
from data_prep.sources.reasons import LOST_MASKS, NOTED, REJECTED, REPAIRED
from tests.data_prep.small_sources import coco_object

CATEGORIES = {1: "cat", to_id("id", "dog-7"): "dog"}
SQUARE = [2, 3, 12, 3, 12, 8, 2, 8]
POINTS = [{"x": x, "y": y} for x, y in zip(SQUARE[::2], SQUARE[1::2], strict=True)]
WIDTH, HEIGHT = 40, 30
RUNS = {"size": [HEIGHT, WIDTH], "counts": [63, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 25, 5, 862]}
COMPRESSED = encode_run_lengths(RUNS["counts"], (HEIGHT, WIDTH)).counts


def read(**fields: Any) -> tuple[Annotation | None, list[str], ImageObjects]:
    """The annotation that comes of a whole one with these fields, its repairs, and all that was made of it."""
    record = {name: value for name, value in coco_object(7, 1, **fields).items() if value != "absent"}
    objects = ImageObjects()
    transform = CoordinateTransform(WIDTH, HEIGHT)
    add_coco_annotation(RawRecord(json.dumps(record).encode(), 99, transform, objects), CATEGORIES)
    annotation = objects.annotations[0] if objects.annotations else None
    return annotation, [repair.reason for repair in objects.repairs], objects


def test_what_coco_writes_needs_no_repair() -> None:
    _, repairs, objects = read()
    assert (repairs, objects.repaired, objects.noted) == ([], 0, [])


@pytest.mark.parametrize(
    ("fields", "repair"),
    [
        ({"id": "7"}, "number_written"),
        ({"id": 7.0}, "number_written"),
        ({"id": "absent"}, "id_absent"),
        ({"id": "a-7"}, "id_mapped"),
        ({"id": 2**62}, "id_mapped"),
        ({"category_id": "1"}, "number_written"),
        ({"category_id": 1.0}, "number_written"),
        ({"category_id": "dog-7"}, None),
        ({"iscrowd": False}, "number_written"),
        ({"iscrowd": None}, "number_written"),
        ({"iscrowd": 0.0}, "number_written"),
        ({"iscrowd": "absent"}, None),
        ({"area": "absent"}, None),
        ({"area": None}, None),
        ({"area": 0}, "area"),
        ({"area": -3}, "area"),
        ({"area": "50"}, "number_written"),
        ({"area": "wide"}, "area"),
        ({"bbox": ["2", "3", "10", "5"]}, "number_written"),
        ({"bbox": []}, "bbox_from_mask"),
        ({"bbox": "absent"}, "bbox_from_mask"),
        ({"segmentation": SQUARE}, "segmentation_shape"),
        ({"segmentation": [[SQUARE]]}, "segmentation_shape"),
        ({"segmentation": [[2, 3], [12, 3], [12, 8], [2, 8]]}, "segmentation_shape"),
        ({"segmentation": [[[2, 3], [12, 3], [12, 8], [2, 8]]]}, "segmentation_shape"),
        ({"iscrowd": "False"}, "number_written"),
        ({"iscrowd": ""}, "number_written"),
        ({"bbox": "2,3,10,5"}, "bbox_shape"),
        ({"bbox": " 2 3 10.0 5"}, "bbox_shape"),
        ({"bbox": "2; 3; 10; 5"}, "bbox_shape"),
        ({"bbox": [None] * 4}, "bbox_from_mask"),
        ({"segmentation": ", ".join(map(str, SQUARE))}, "segmentation_shape"),
        ({"segmentation": POINTS}, "segmentation_shape"),
        ({"segmentation": [POINTS]}, "segmentation_shape"),
        ({"segmentation": [SQUARE, POINTS]}, "segmentation_shape"),
        ({"segmentation": json.dumps([POINTS])}, "segmentation_shape"),
        ({"segmentation": json.dumps([RUNS])}, "segmentation_shape"),
        ({"bbox": "[2, 3, 10, 5]"}, "bbox_shape"),
        ({"bbox": "(2, 3, 10, 5)"}, "bbox_shape"),
        ({"bbox": [[2, 3, 10, 5]]}, "bbox_shape"),
        ({"bbox": {"x": 2, "y": 3, "width": 10, "height": 5}}, "bbox_shape"),
        ({"bbox": {"x": "2", "y": 3, "w": 10, "h": 5}}, "bbox_shape"),
        ({"bbox": {}}, "bbox_from_mask"),
        ({"bbox": [0, 0, 0, 0]}, "bbox_from_mask"),
        ({"bbox": [12, 8, -10, -5]}, "bbox_from_mask"),
        ({"segmentation": [list(map(str, SQUARE))]}, "number_written"),
        ({"segmentation": json.dumps([SQUARE])}, "segmentation_shape"),
        ({"segmentation": [RUNS]}, "segmentation_shape"),
        ({"segmentation": {**RUNS, "counts": str(RUNS["counts"])}}, "segmentation_shape"),
        ({"segmentation": {**RUNS, "counts": str(COMPRESSED.encode())}}, "segmentation_shape"),
        ({"segmentation": [SQUARE, [1, 2, None, 4, 5, 6]]}, "polygon_part"),
        ({"segmentation": [SQUARE, ["NaN"] * 6]}, "polygon_part"),
        ({"segmentation": [SQUARE, None]}, "segmentation_shape"),
        ({"segmentation": [SQUARE, [1, 2, 3, 4]]}, "polygon_part"),
        (
            {"segmentation": {"size": ["30", 40.0], "counts": [63.0, 5, 25, 5, 25, 5, 25, 5, 25, 5, 1012]}},
            "number_written",
        ),
        ({"license": 3, "score": [None], "attributes": {"occluded": True}}, None),
    ],
)
def test_what_is_plain_is_used_and_the_repair_is_named(fields: dict[str, Any], repair: str | None) -> None:
    found, repairs, objects = read(**fields)
    assert found is not None
    assert repairs == ([repair] if repair else [])
    assert objects.repaired == len(repairs)
    assert (found.bbox, found.area) == ((2, 3, 10, 5), 50)
    assert found.mask is not None


@pytest.mark.parametrize("nothing", [None, [], [[]], {}, "", "absent"])
def test_no_segmentation_is_a_box_and_no_repair(nothing: Any) -> None:
    found, repairs, _ = read(segmentation=nothing)
    assert found is not None
    assert (found.mask, repairs) == (None, [])


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[2, 3, 10, 5]], "box_as_mask"),
        ([[2, 3, 12, 3, 12]], "bad_mask"),
        ([[1, 2, 3, 4]], "bad_mask"),
        ([[2, 3, 12, 3, 12, "x"]], "bad_mask"),
        ([[5, 5, 6, 6, 7, 7]], "bad_mask"),
        ("polygon", "bad_mask"),
        ([[0, 0, 0, 0, 0, 0]], "bad_mask"),
        (0, "bad_mask"),
        ([{"size": [HEIGHT, WIDTH]}], "bad_mask"),
        ([{"x": 2, "y": 3}], "bad_mask"),
        (POINTS[:2], "bad_mask"),
        ([{"x": 2, "y": None}] * 4, "bad_mask"),
        ([{"x": [2], "y": 3}] * 4, "bad_mask"),
        ({"size": [WIDTH, HEIGHT], "counts": [1200]}, "bad_mask"),
        ({"size": [HEIGHT, WIDTH], "counts": [63, 5]}, "bad_mask"),
        ({"size": [HEIGHT, WIDTH], "counts": [1200]}, "empty_mask"),
        ([[30, 20, 38, 20, 38, 28]], "mask_off_box"),
    ],
)
def test_a_bad_mask_never_costs_its_box(segmentation: Any, reason: str) -> None:
    found, repairs, _ = read(segmentation=segmentation)
    assert found is not None
    assert (found.mask, found.bbox) == (None, (2, 3, 10, 5))
    assert repairs == [reason]


def test_swapped_run_lengths_are_told_with_both_sizes() -> None:
    _, _, objects = read(segmentation={"size": [WIDTH, HEIGHT], "counts": [1200]})
    assert objects.repairs[0].seen == "segmentation.size: (40, 30), image (30, 40): width and height are swapped"


@pytest.mark.parametrize(
    ("fields", "reason", "seen"),
    [
        ({"iscrowd": "yes"}, "malformed", 'iscrowd: "yes"'),
        ({"bbox": [1, 2, "NaN", 4]}, "malformed", "bbox: NaN is not a finite number"),
        ({"bbox": "absent", "segmentation": []}, "malformed", "bbox: null, and there is no mask to compute it from"),
        ({"bbox": [[2, 3], [12, 8]]}, "malformed", "bbox: [[2,3],[12,8]]"),
        ({"bbox": "2,5 3,5 10,5 5"}, "malformed", 'bbox: "2,5 3,5'),
        ({"bbox": [2, 3, None, 5]}, "malformed", "bbox: null"),
        ({"bbox": {"x": 2, "y": 3}}, "malformed", 'bbox: {"x":2,"y":3}'),
        ({"category_id": 9}, "unknown_category", "category_id: 9 is not listed; the file lists 1, "),
        ({"bbox": [40, 0, 3, 3]}, "outside_image", "bbox: [40,0,3,3], image 40×30"),
        ({"bbox": [4, 0, 0, 3], "segmentation": []}, "zero_size", "bbox: [4,0,0,3]"),
    ],
)
def test_what_is_not_plain_is_rejected_with_field_and_value(fields: dict[str, Any], reason: str, seen: str) -> None:
    _, _, objects = read(**fields)
    (rejected,) = objects.rejected
    assert (rejected.reason, rejected.offset) == (reason, 99)
    assert rejected.seen.startswith(seen)


def test_a_box_that_reaches_beyond_the_image_is_used_and_noted() -> None:
    found, _, objects = read(bbox=[2, 3, 60, 5])
    assert found is not None
    (note,) = objects.noted
    assert (note.reason, note.seen) == ("beyond_image", "bbox: [2.0,3.0,60.0,5.0], image 40×30")


@pytest.mark.parametrize(
    "fields",
    [
        {"bbox": [7, 5.5, 10, 5]},  # its center, width and height
        {"bbox": [2, 3, 5, 5]},
        {"segmentation": [[3, 2, 3, 12, 8, 12, 8, 2]]},  # y before x
        {"segmentation": [[3, 4, 11, 4, 11, 20]], "iscrowd": False},
        {"segmentation": RUNS, "bbox": [2, 3, 5, 5]},
    ],
)
def test_a_mask_that_reaches_out_of_its_box_is_used_and_noted(fields: dict[str, Any]) -> None:
    found, _, objects = read(**fields)
    assert found is not None and found.mask is not None
    (note,) = objects.noted
    assert (note.reason, note.offset) == ("mask_beyond_box", 99)
    assert "the mask's box is [" in note.seen
    assert read(**fields, iscrowd=1)[2].noted == [] if "iscrowd" not in fields else True


@pytest.mark.parametrize("bbox", [[2, 3, 10, 5], [3, 4, 8, 3], [4, 3, 8, 5], [0, 0, 40, 30]])
def test_a_box_that_is_rounded_or_wider_than_its_mask_is_not_noted(bbox: list[float]) -> None:
    assert read(bbox=bbox)[2].noted == []
    assert read(bbox=bbox, segmentation=RUNS)[2].noted == []


scalars = (
    st.none() | st.booleans() | st.integers(-5, 2**60) | st.floats(-9, 60) | st.sampled_from(["", "7", "7.0", "x"])
)
points = st.fixed_dictionaries({"x": scalars, "y": scalars})
values = st.recursive(scalars | points, lambda inner: st.lists(inner, max_size=6), max_leaves=12)
run_lengths = st.fixed_dictionaries({"size": st.lists(scalars, max_size=3), "counts": scalars | st.lists(scalars)})


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": values,
            "category_id": values,
            "bbox": values,
            "area": values,
            "iscrowd": values,
            "segmentation": values | run_lengths,
        },
    )
)
def test_used_repaired_and_rejected_add_up_whatever_the_fields_hold(fields: dict[str, Any]) -> None:
    found, repairs, objects = read(**fields)
    assert len(objects.annotations) + len(objects.rejected) == 1
    assert objects.repaired == bool(repairs)
    assert set(repairs) <= REPAIRED.keys()
    assert {rejected.reason for rejected in objects.rejected} <= REJECTED.keys()
    assert {note.reason for note in objects.noted} <= NOTED.keys()
    if found:
        assert found.area > 0
        assert (found.mask is None) or mask_area(found.mask) > 0
        assert (found.mask is None) or not LOST_MASKS.keys() & set(repairs)


@given(st.integers(0, LARGEST_ID))
def test_an_id_is_the_same_however_it_is_written(number: int) -> None:
    assert to_id("id", number) == to_id("id", str(number)) == to_id("id", f" {number}.0 ") == number


@given(st.integers(-(10**6), -1) | st.integers(LARGEST_ID + 1, 2**60))
def test_a_number_that_is_no_id_is_mapped_to_the_same_however_it_is_written(number: int) -> None:
    assert to_id("id", number) == to_id("id", str(number)) == to_id("id", f"{number}.0")
    assert 0 <= to_id("id", number) <= LARGEST_ID


@given(st.text(min_size=1))
def test_a_name_as_an_id_is_the_same_for_the_image_and_its_annotations(name: str) -> None:
    assert annotation_image_id(msgspec.Raw(json.dumps({"image_id": name}).encode())) == to_id("id", name)
    assert 0 <= to_id("id", name) <= LARGEST_ID
