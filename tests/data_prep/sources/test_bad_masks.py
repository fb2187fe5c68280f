"""A mask that is absent, cannot be used, or reaches out of its box: it never costs the box."""

import json
from typing import Any

import pytest

from tests.data_prep.sources.one_annotation import HEIGHT, POINTS, RUNS, SQUARE, WIDTH, read


@pytest.mark.parametrize("nothing", [None, [], [[]], {}, "", "absent"])
def test_no_segmentation_is_a_box_and_no_repair(nothing: Any) -> None:
    found, repairs, _ = read(segmentation=nothing)
    assert found is not None
    assert (found.mask, repairs) == (None, [])


def nested(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (nested(SQUARE, 33), "bad_mask"),
        (nested(SQUARE, 900), "bad_mask"),
        (nested([], 900), "bad_mask"),
        (json.dumps(nested(SQUARE, 900)), "bad_mask"),
        ({"size": [HEIGHT, WIDTH], "counts": nested(1, 900)}, "bad_mask"),
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
