"""Segmentations as people's files write them → polygons or run lengths as COCO defines them, or nothing.

Tried only where a segmentation is not as COCO defines it. What is plain is repaired and said so; anything else is no
mask, with its reason.
"""

from typing import Any

import msgspec

from data_prep.sources.coercions import shown, to_number, to_whole, without_quotes
from data_prep.sources.masks import RawRle
from data_prep.sources.reasons import BrokenError

Repair = tuple[str, str]
"""The reason's code, and what was seen."""

_LEAST_NUMBERS = 6
_BOX = 4
_DEEPEST = 32  # lists in lists; Python's own bound differs by runner


def is_nothing(value: Any) -> bool:
    """Whether the value says that there is no mask: absent, null, [], [[]], {} or empty text."""
    return value is None or value in ("", {}) or (isinstance(value, list) and all(map(is_nothing, value)))


def plain_segmentation(value: Any, bbox: Any, repairs: list[Repair]) -> list[list[float]] | RawRle | None:
    """The segmentation as COCO defines it; what was repaired is appended to `repairs`.

    None where there is none, also where its four numbers are the box. Raises BrokenError if it cannot be read.
    """
    unquoted = without_quotes(value)
    if _is_deep(unquoted):
        raise BrokenError("bad_mask", f"segmentation: more than {_DEEPEST} lists in one another")
    plain = _in_shape(unquoted)
    if plain is None:
        return None
    if plain != value:
        repairs.append(("segmentation_shape", shown("segmentation", value)))
    if isinstance(plain, dict):
        return _run_lengths(plain, repairs)
    if len(plain) == 1 and len(plain[0]) == _BOX:
        if plain[0] == bbox:
            repairs.append(("box_as_mask", shown("segmentation", value)))
            return None
        raise BrokenError("bad_mask", f"{shown('segmentation', value)}: 4 numbers are no polygon")
    return _good_parts(plain, repairs)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        within = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [inner for items in within for inner in items]
    return bool(level)


def _in_shape(value: Any) -> list[list[Any]] | dict[str, Any] | None:
    """Lists of numbers, or an object of run lengths, out of what is written around them; None for nothing."""
    if is_nothing(value):
        return None
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and not _is_point(value[0]):
        value = value[0]
    if isinstance(value, dict):
        return value | {"counts": _plain_counts(value["counts"])} if "counts" in value else value
    if not isinstance(value, list):
        raise BrokenError("bad_mask", shown("segmentation", value))
    return _as_polygons(_as_pairs(value))


def _as_pairs(value: Any) -> Any:
    """Points written as objects of x and y as pairs of numbers, however deep they stand."""
    if isinstance(value, list):
        return [_as_pairs(item) for item in value]
    return [value["x"], value["y"]] if _is_point(value) else value


def _is_point(value: Any) -> bool:
    return isinstance(value, dict) and {"x", "y"} <= value.keys()


def _as_polygons(value: list[Any]) -> list[list[Any]]:
    """A list of numbers, of pairs or one level too many as a list of lists of numbers."""
    if not any(isinstance(item, list) for item in value):
        return [value]
    if all(_is_pair(item) for item in value):
        return [[number for pair in value for number in pair]]
    polygons: list[list[Any]] = []
    for item in value:
        if item is None:
            continue
        if not isinstance(item, list):
            raise BrokenError("bad_mask", f"{shown('segmentation', value)}: numbers beside lists")
        polygons += _as_polygons(item) if any(isinstance(inner, list) for inner in item) else [item]
    return polygons


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and not any(isinstance(number, list) for number in item)


def _good_parts(polygons: list[list[Any]], repairs: list[Repair]) -> list[list[float]]:
    """The parts with three points, an even number of values and an area; raises BrokenError if there is none."""
    good, seen, written_as_text = [], "", False
    for polygon in polygons:
        try:
            good.append(_part(polygon))
            written_as_text = written_as_text or any(isinstance(number, str) for number in polygon)
        except BrokenError as error:
            seen = seen or error.seen
    if not good:
        raise BrokenError("bad_mask", seen)
    if seen:
        repairs.append(("polygon_part", seen))
    if written_as_text:
        repairs.append(("number_written", shown("segmentation", polygons)))
    return good


def _part(polygon: list[Any]) -> list[float]:
    """A part of a mask; raises BrokenError if it is none."""
    if len(polygon) < _LEAST_NUMBERS or len(polygon) % 2:
        raise BrokenError("bad_mask", f"segmentation: a polygon of {len(polygon)} numbers")
    numbers = [to_number("segmentation", number) for number in polygon]
    if _area(numbers[::2], numbers[1::2]) == 0:
        raise BrokenError("bad_mask", "segmentation: a polygon without an area")
    return numbers


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


def _plain_counts(value: Any) -> Any:
    """Run lengths without what is written around them as text: a list ("[6, 3]"), or Python's bytes ("b'63'").

    Neither a comma nor a quote occurs in compressed run lengths.
    """
    if isinstance(value, str) and value[:2] in ("b'", 'b"') and value[-1] == value[1] and len(value) > 2:
        return value[2:-1].replace("\\\\", "\\")
    return without_quotes(value) if isinstance(value, str) and "," in value else value
