"""An annotation that is not written as COCO does: repaired where it is plain, else rejected with field and value."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.format.rle import mask_area
from data_prep.sources.reasons import LOST_MASKS, NOTED, REJECTED, REPAIRED
from tests.data_prep.sources.one_annotation import COMPRESSED, POINTS, RUNS, SQUARE, read


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
