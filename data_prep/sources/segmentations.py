"""Segmentations as people's files write them → polygons or run lengths as COCO defines them, or nothing.

Tried only where a segmentation is not as COCO defines it. What is plain is repaired and said so; anything else is no
mask, with its reason.
"""

from typing import Any

import msgspec

from data_prep.sources.coercions import shown, to_number, to_whole
from data_prep.sources.masks import RawRle
from data_prep.sources.reasons import BrokenError

Repair = tuple[str, str]
"""The reason's code, and what was seen."""

_LEAST_NUMBERS = 6
_BOX = 4


def is_nothing(value: Any) -> bool:
    """Whether the value says that there is no mask: absent, null, [], [[]], {} or empty text."""
    return not value or (isinstance(value, list) and all(map(is_nothing, value)))


def plain_segmentation(value: Any, bbox: Any, repairs: list[Repair]) -> list[list[float]] | RawRle | None:
    """The segmentation as COCO defines it; what was repaired is appended to `repairs`.

    None where there is none, also where its four numbers are the box. Raises BrokenError if it cannot be read.
    """
    if is_nothing(value):
        return None
    if isinstance(value, dict):
        return _run_lengths(value, repairs)
    if not isinstance(value, list):
        raise BrokenError("bad_mask", shown("segmentation", value))
    listed = _as_polygons(value)
    if listed != value:
        repairs.append(("segmentation_shape", shown("segmentation", value)))
    polygons = [[_coordinate(number) for number in polygon] for polygon in listed]
    if len(polygons) == 1 and len(polygons[0]) == _BOX:
        if polygons[0] == bbox:
            repairs.append(("box_as_mask", shown("segmentation", value)))
            return None
        raise BrokenError("bad_mask", f"{shown('segmentation', value)}: 4 numbers are no polygon")
    return _good_parts(polygons, repairs)


def _coordinate(value: Any) -> float:
    try:
        return to_number("segmentation", value)
    except BrokenError as error:
        raise BrokenError("bad_mask", error.seen) from None


def _as_polygons(value: list[Any]) -> list[list[Any]]:
    """A list of numbers, of pairs or one level too many as a list of lists of numbers."""
    if not any(isinstance(item, list) for item in value):
        return [value]
    if all(_is_pair(item) for item in value):
        return [[number for pair in value for number in pair]]
    polygons: list[list[Any]] = []
    for item in value:
        if not isinstance(item, list):
            raise BrokenError("bad_mask", f"{shown('segmentation', value)}: numbers beside lists")
        polygons += _as_polygons(item) if any(isinstance(inner, list) for inner in item) else [item]
    return polygons


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and not any(isinstance(number, list) for number in item)


def _good_parts(polygons: list[list[float]], repairs: list[Repair]) -> list[list[float]]:
    """The parts with three points, an even number of values and an area; raises BrokenError if there is none."""
    troubles = [_trouble(polygon) for polygon in polygons]
    seen = next((trouble for trouble in troubles if trouble), None)
    good = [polygon for polygon, trouble in zip(polygons, troubles, strict=True) if trouble is None]
    if not good:
        raise BrokenError("bad_mask", seen or "")
    if seen:
        repairs.append(("polygon_part", seen))
    return good


def _trouble(polygon: list[float]) -> str | None:
    """What is wrong with a part of a mask, or None."""
    if len(polygon) < _LEAST_NUMBERS or len(polygon) % 2:
        return f"segmentation: a polygon of {len(polygon)} numbers"
    x, y = polygon[::2], polygon[1::2]
    if _area(x, y) == 0:
        return "segmentation: a polygon without an area"
    return None


def _area(x: list[float], y: list[float]) -> float:
    """Twice the area that a polygon's points enclose."""
    return abs(sum((x[i - 1] - x[0]) * (y[i] - y[0]) - (x[i] - x[0]) * (y[i - 1] - y[0]) for i in range(len(x))))


def _run_lengths(value: dict[str, Any], repairs: list[Repair]) -> RawRle:
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not isinstance(counts, list | str):
        raise BrokenError("bad_mask", f"{shown('segmentation', value)}: neither polygons nor run lengths")
    try:
        height, width = (to_whole("segmentation.size", number) for number in size)
        lengths = counts if isinstance(counts, str) else [to_whole("segmentation.counts", n) for n in counts]
    except BrokenError as error:
        raise BrokenError("bad_mask", error.seen) from None
    if msgspec.json.encode([[height, width], lengths]) != msgspec.json.encode([size, counts]):
        repairs.append(("number_written", shown("segmentation", value)))
    return RawRle((height, width), lengths)
