"""Text → the value of a field, by the field's type; and back."""

import math
import types
from contextlib import suppress
from typing import Any, Literal, Union, get_args, get_origin

NOTHING = frozenset({"", "null", "none", "~"})
"""What stands for None where a field may be None."""
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

Text = str | list[str]
"""A value as it is written: a word, or a list of words."""


def parse(text: Text, wanted: Any) -> Any:
    """The value that the text means for a field of the type `wanted`.

    A tuple is written as a list, as words with commas between them, or as one word.

    Raises:
        ValueError: the text means no such value.
    """
    plain, optional = _without_none(wanted)
    if optional and isinstance(text, str) and text.lower() in NOTHING:
        return None
    if get_origin(plain) is tuple:
        words = text if isinstance(text, list) else [word.strip() for word in text.strip("[]").split(",") if word]
        return tuple(parse(word, get_args(plain)[0]) for word in words)
    if isinstance(text, list):
        raise ValueError("one value, no list")
    return _parse_word(text, plain)


def allowed(wanted: Any) -> str:
    """What a field of this type may hold, in words."""
    plain, optional = _without_none(wanted)
    if get_origin(plain) is tuple:
        words = f"a list of {'whole numbers' if get_args(plain)[0] is int else 'numbers'}"
    elif get_origin(plain) is Literal:
        words = f"one of {', '.join(map(str, get_args(plain)))}"
    else:
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[plain]
    return f"{words}, or null" if optional else words


def _parse_word(word: str, wanted: Any) -> Any:
    if get_origin(wanted) is Literal:
        return {str(choice): choice for choice in get_args(wanted)}[word] if _is_choice(word, wanted) else _refuse(word)
    if wanted is bool:
        return _BOOLEANS[word.lower()] if word.lower() in _BOOLEANS else _refuse(word)
    if wanted is str:
        return word
    if wanted is int:
        with suppress(ValueError):
            return int(word)
    number = float(word)  # of a whole number, too: 1e3
    if not math.isfinite(number) or (wanted is int and not number.is_integer()):
        _refuse(word)
    return int(number) if wanted is int else number


def _is_choice(word: str, wanted: Any) -> bool:
    return word in map(str, get_args(wanted))


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _without_none(wanted: Any) -> tuple[Any, bool]:
    """The type without None, and whether it had None."""
    if get_origin(wanted) in (Union, types.UnionType):
        (plain,) = (each for each in get_args(wanted) if each is not types.NoneType)
        return plain, True
    return wanted, False
