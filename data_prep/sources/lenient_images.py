"""A COCO-format image record that is not written as COCO does: what is needed of it, repaired where it is plain."""

from typing import Any

from data_prep.sources.coercions import is_mapped, shown, spelled, to_id, to_whole
from data_prep.sources.reasons import BrokenError
from data_prep.sources.segmentations import Repair

UNKNOWN_LENGTH = 0
"""In place of a width or height that the record lacks or has wrong: the file's is taken."""
_LONGEST = 2**31 - 1


def image_id(fields: dict[str, Any], repairs: list[Repair]) -> tuple[int, str | None]:
    """The image's id, and the original one if that is text or had to be mapped; raises BrokenError without an id."""
    value = fields.get("id")
    number = to_id("id", value)
    if is_mapped(value, number):
        repairs.append(("id_mapped", shown("id", value)))
        return number, spelled(value)
    if not isinstance(value, int):
        repairs.append(("number_written", shown("id", value)))
    return number, value if isinstance(value, str) else None


def length(fields: dict[str, Any], field: str, repairs: list[Repair]) -> int:
    """The width or height in pixels; UNKNOWN_LENGTH where it is absent or no length of an image."""
    value = fields.get(field)
    try:
        number = to_whole(field, value)
    except BrokenError:
        return UNKNOWN_LENGTH
    if not 0 < number <= _LONGEST:
        return UNKNOWN_LENGTH
    if not isinstance(value, int):
        repairs.append(("number_written", shown(field, value)))
    return number


def file_name(fields: dict[str, Any]) -> str:
    """The file's name; raises BrokenError where it is none."""
    value = fields.get("file_name")
    if not isinstance(value, str) or not value:
        raise BrokenError("malformed", f"{shown('file_name', value)}: the name of the image's file is needed")
    return value


def text(fields: dict[str, Any], field: str) -> str | None:
    """A field that nothing depends on, if it is text."""
    value = fields.get(field)
    return value if isinstance(value, str) else None
