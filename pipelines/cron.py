"""When a schedule fires: cron with six fields, seconds first, as Kubeflow Pipelines reads it."""

import re

from data_prep.storage.errors import ConfigError

FIELDS = {
    "second": (0, 59, ()),
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day of the month": (1, 31, ()),
    "month": (1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    "day of the week": (0, 6, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
}
"""Field → its least and greatest number, and names for them."""
_PART = re.compile(r"(?P<all>[*?])|(?P<first>\w+)(-(?P<last>\w+))?")


def check_cron(expression: str) -> None:
    """Raise ConfigError, with the field and its range, for an expression that the scheduler would refuse."""
    fields = expression.split()
    if len(fields) != len(FIELDS):
        hint = f"; with seconds in front: 0 {expression}" if len(fields) == len(FIELDS) - 1 else ""
        raise ConfigError(f"--cron {expression!r}: has {len(fields)} fields, not six ({', '.join(FIELDS)}){hint}")
    for text, name in zip(fields, FIELDS, strict=True):
        for part in text.split(","):
            if not _is_part(part, name):
                least, most, _ = FIELDS[name]
                raise ConfigError(
                    f"--cron {expression!r}: {part!r} is no {name}; write *, a number from {least} to {most}, a range "
                    "such as 1-5, or a step such as */2"
                )


def _is_part(text: str, name: str) -> bool:
    span, slash, step = text.partition("/")
    match = _PART.fullmatch(span)
    if match is None or (slash and (not step.isdecimal() or int(step) == 0)):
        return False
    if match["all"]:
        return True
    first = _number(match["first"], name)
    last = first if match["last"] is None else _number(match["last"], name)
    return first is not None and last is not None and first <= last


def _number(text: str, name: str) -> int | None:
    """The number that a text stands for in a field; None if it is none."""
    least, most, names = FIELDS[name]
    if text.upper() in names:
        return names.index(text.upper()) + least
    return int(text) if text.isdecimal() and text.isascii() and least <= int(text) <= most else None
