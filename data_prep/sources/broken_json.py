"""Find where a JSON file breaks, for the error message alone; no record of such a file is used."""

import codecs
import re
from collections.abc import Iterable

import ijson
import msgspec

from data_prep.sources.unsupported_files import HEAD, kind_of_bytes
from data_prep.storage.errors import DataError

_PIECE = 1 << 16
_BYTE = re.compile(r"\(byte (\d+)\)")
_BEFORE = 16
_MEND = "mend it there, or have the program that wrote the file write it as JSON"
# What people and programs write that JSON does not have; the first pattern that covers the break names it.
_BREAKS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (rb",\s*[]}]", "a comma before the closing bracket"),
        (rb"//|/\*|#", "a comment, which JSON does not have"),
        (rb"\b(?:True|False|None)\b", "a Python value in place of true, false or null"),
        (rb"'", "single quotes in place of double quotes"),
        (rb"[-+]?\b(?:nan|NAN|inf|Inf|INF|NA)\b", "a number that JSON does not have"),
        (rb"[{,]\s*[A-Za-z_]\w*\s*:", "a name without double quotes"),
        (rb"\xff|\xc0|\xc1|[\x80-\xfe]", "a byte that is not UTF-8 text"),
        (rb"[\x00-\x1f]", "a control character in a text"),
        (rb"[}\]0-9\"el]\s*[\"{\[]", "no comma between two values"),
    )
)
_TRAILING = "trailing characters"
_ID_NAMES = ("id", "image_id")
_OPENS, _CLOSES = ("start_map", "start_array"), ("end_map", "end_array")


class BrokenJsonError(DataError):
    """Raised for a file that is not JSON: broken, empty, or damaged where it is compressed."""


class MisshapenError(DataError):
    """Raised for a file whose members are those that are read here, and hold their records in another shape."""


def broken_json_error(path: str, data: memoryview, error: Exception) -> BrokenJsonError:
    """The error for JSON refused with `error`: it names the place, what is wrong there, the whole records before it,
    and the remedy; of a file of another format, what it is."""
    head = bytes(data[:HEAD])
    if len(data) <= HEAD and not head.strip():
        return BrokenJsonError(f"{path}: the file is empty")
    if kind := kind_of_bytes(head):
        return BrokenJsonError(f"{path}: is no JSON; it looks like {kind}")
    records, ends = _read_along(data)
    offset = _invalid_text(data) if isinstance(error, UnicodeDecodeError) else _syntax_error(data)
    if offset is None and "truncated" in str(error) and not ends:
        what = f"the JSON stops in the middle, at byte {len(data)},"
        return BrokenJsonError(f"{path}: {what} {records.describe()}; get the file again")
    if offset is None:
        return BrokenJsonError(f"{path}: broken JSON ({error}), {records.describe()}; {_MEND}")
    line, column = _line_and_column(data, offset)
    place = f"broken JSON at line {line}, column {column} (byte {offset})"
    return BrokenJsonError(f"{path}: {place}: {_what_breaks(data, offset)}, {records.describe()}; {_MEND}")


def _line_and_column(data: memoryview, offset: int) -> tuple[int, int]:
    """Both from 1; columns count bytes."""
    line, begins = 1, 0
    for start in range(0, offset, _PIECE):
        piece = bytes(data[start : min(start + _PIECE, offset)])
        line += piece.count(b"\n")
        if (last := piece.rfind(b"\n")) >= 0:
            begins = start + last + 1
    return line, offset - begins + 1


def _what_breaks(data: memoryview, offset: int) -> str:
    """What stands there that JSON does not have."""
    around = bytes(data[max(offset - _BEFORE, 0) : offset + _BEFORE])
    at = min(offset, _BEFORE)
    if _TRAILING in _refusal(data):
        return "more text after the end"
    for pattern, words in _BREAKS:
        if any(match.start() <= at <= match.end() for match in pattern.finditer(around)):
            return words
    return "a syntax error"


def _syntax_error(data: memoryview) -> int | None:
    """The byte at which the syntax breaks; None if it does not, or only for want of an end."""
    found = _BYTE.search(_refusal(data))
    return int(found[1]) if found else None


def _refusal(data: memoryview) -> str:
    """What the strict parser says of the syntax; empty if it says nothing."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return str(error)
    except RecursionError:
        pass
    return ""


def _invalid_text(data: memoryview) -> int | None:
    """The first byte that is not UTF-8, if there is one."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _PIECE):
        waiting = len(decoder.getstate()[0])
        try:
            decoder.decode(bytes(data[start : start + _PIECE]))
        except UnicodeDecodeError as error:
            return start - waiting + error.start
    return None


def _read_along(data: memoryview) -> tuple["_Records", bool]:
    """The records up to where a streaming parser gives up, and whether it came to the end."""
    records = _Records()
    events = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, use_float=True)
    try:
        for start in range(0, len(data), _PIECE):
            parser.send(bytes(data[start : start + _PIECE]))
            records.follow(events)
            events.clear()
        parser.close()
    except (ijson.JSONError, ValueError):
        records.follow(events)
        return records, False
    return records, True


class _Records:
    """The records read so far: the items of the document's array, or of arrays that are members of its object."""

    def __init__(self) -> None:
        self._member = ""
        self._whole = 0
        self._last_id = ""
        self._ids: dict[str, str] = {}
        self._key = ""
        self._depth = 0
        self._items_at = 0  # the depth inside the array of records, 0 outside of one

    def describe(self) -> str:
        """The number of whole records, their array, and the id of the last."""
        of = f" of {self._member!r}" if self._member else ""
        last = f" (the last has id {self._last_id})" if self._last_id else ""
        return f"after {self._whole} whole records{of}{last}"

    def follow(self, events: Iterable[tuple[str, object]]) -> None:
        """Process the parser's next events."""
        for event, value in events:
            if event == "map_key":
                self._key = str(value)
            elif event == "number":
                if self._key in _ID_NAMES and self._depth == self._items_at + 1:
                    self._ids[self._key] = str(value)
            elif event in _OPENS:
                self._open(event)
            elif event in _CLOSES:
                self._close()

    def _open(self, event: str) -> None:
        if event == "start_array" and self._depth < 2 and not self._items_at:
            self._member, self._whole, self._last_id = self._key, 0, ""
            self._items_at = self._depth + 1
        self._depth += 1

    def _close(self) -> None:
        self._depth -= 1
        if self._depth < self._items_at:
            self._items_at = 0
        elif self._depth == self._items_at > 0:
            self._whole += 1
            self._last_id = next((self._ids[name] for name in _ID_NAMES if name in self._ids), "")
            self._ids.clear()
