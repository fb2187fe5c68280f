"""Boxes as people's files write them → x, y, width and height."""

from typing import Any

from data_prep.sources.coercions import shown, to_number, to_numbers, without_quotes
from data_prep.sources.reasons import BrokenError
from data_prep.sources.segmentations import Repair

Box = tuple[float, float, float, float]
_NAMES = (("x", "y", "width", "height"), ("x", "y", "w", "h"))


def plain_box(value: Any, repairs: list[Repair]) -> Box | None:
    """The box, and what was repaired appended to `repairs`; None where there is none.

    A list of four numbers, also written as text, as an object or a level too deep. Raises BrokenError for anything
    else, such as two points: those may be two corners, or a corner and a size.
    """
    written = without_quotes(value)
    if written in (None, "", [], {}) or (isinstance(written, list) and all(number is None for number in written)):
        return None
    found = _numbers(written)
    if written is not value or not isinstance(written, list) or isinstance(written[0], list):
        repairs.append(("bbox_shape", shown("bbox", value)))
    elif any(isinstance(number, str) for number in written):
        repairs.append(("number_written", shown("bbox", value)))
    return found


def _numbers(value: Any) -> Box:
    if isinstance(value, dict):
        for names in _NAMES:
            if set(names) <= value.keys():
                x, y, w, h = (to_number(f"bbox.{name}", value[name]) for name in names)
                return x, y, w, h
        raise BrokenError("malformed", shown("bbox", value))
    inner = value[0] if isinstance(value, list) and len(value) == 1 else value
    x, y, w, h = to_numbers("bbox", inner, 4)
    return x, y, w, h
