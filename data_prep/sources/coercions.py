"""What people's files write where a number is meant: text, floats, true and false → the number, where it is plain.

Every function raises BrokenError("malformed") with the field and the value if it is not.
"""

import hashlib
import math
import re
from typing import Annotated, Any

import msgspec

from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import JSON_ERRORS

LARGEST_ID = 2**53
Id = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]
_HASHED_BYTES = 6
_SHOWN = 60
_FLAGS = {"": None, "null": None, "none": None, "false": False, "true": True}
_ROUND = str.maketrans("()", "[]")
_DECIMAL = r"[+-]?\d{1,30}(?:\.\d*)?"
_ROW = re.compile(rf"\s*{_DECIMAL}(?P<separator> ?[,;] ?| )(?:{_DECIMAL}(?P=separator))*{_DECIMAL}\s*", re.ASCII)
_WHOLE = re.compile(r"\s*[+-]?\d{1,30}(?:\.0*)?\s*", re.ASCII)


def shown(field: str, value: Any) -> str:
    """`iscrowd: "yes"`: a field and its value, cut to 60 characters."""
    text = msgspec.json.encode(value).decode()
    return f"{field}: {text if len(text) <= _SHOWN else f'{text[:_SHOWN]}…'}"


def to_number(field: str, value: Any) -> float:
    """A finite number, also written as text."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            raise BrokenError("malformed", shown(field, value)) from None
        if not math.isfinite(number):
            raise BrokenError("malformed", f"{field}: {value} is not a finite number")
        value = number
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BrokenError("malformed", shown(field, value))
    try:
        return float(value)
    except OverflowError:
        raise BrokenError("malformed", f"{field}: a number too large") from None


def to_numbers(field: str, value: Any, count: int | None = None) -> list[float]:
    """A list of finite numbers, `count` of them."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise BrokenError("malformed", shown(field, value))
    return [to_number(field, number) for number in value]


def without_quotes(value: Any) -> Any:
    """What a text holds that is a list or an object itself ("[1, 2]", "(1, 2)", "1, 2" with one separator throughout);
    any other value unchanged."""
    if isinstance(value, str) and (found := _ROW.fullmatch(value)):
        return [float(number) for number in value.strip().split(found["separator"])]
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{", "(")):
        return value
    try:
        return msgspec.json.decode(value.translate(_ROUND))
    except JSON_ERRORS:
        return value


def to_whole(field: str, value: Any) -> int:
    """A whole number, also as a float (12.0) or as text ("12", "12.0")."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BrokenError("malformed", shown(field, value))
    return value


def to_flag(field: str, value: Any) -> int:
    """0 or 1, also as false, true, null, a float or text; empty text is null."""
    if isinstance(value, str):
        value = _FLAGS.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return int(value or 0)
    flag = to_whole(field, value)
    if flag not in (0, 1):
        raise BrokenError("malformed", shown(field, value))
    return flag


def to_id(field: str, value: Any) -> int:
    """An id, 0 to 2^53: the whole number that it is; any other text or number is mapped to the same id everywhere, a
    hash of 48 bits."""
    try:
        number = to_whole(field, value)
    except BrokenError:
        if not isinstance(value, str) or not value:
            raise
    else:
        if 0 <= number <= LARGEST_ID:
            return number
    return int.from_bytes(hashlib.sha256(spelled(value).encode()).digest()[:_HASHED_BYTES])


def spelled(value: Any) -> str:
    """An id in one spelling, for `to_id` to map and for files to have again: -1 for -1.0."""
    try:
        return str(to_whole("", value))
    except BrokenError:
        return str(value)


def is_mapped(value: Any, number: int) -> bool:
    """Whether `to_id` mapped an id instead of reading it."""
    try:
        return to_whole("", value) != number
    except BrokenError:
        return True
