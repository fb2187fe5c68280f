"""Find where a JSON file breaks, for the error message alone; no record of such a file is used."""

import codecs
import re
from collections.abc import Iterable

import ijson
import msgspec

from data_prep.storage.errors import DataError

_PIECE = 1 << 16
_BYTE = re.compile(r"\(byte (\d+)\)")
_ID_NAMES = ("id", "image_id")
_OPENS, _CLOSES = ("start_map", "start_array"), ("end_map", "end_array")


def broken_json_error(path: str, data: memoryview, error: Exception) -> DataError:
    """The error for JSON refused with `error`: it names the byte, the whole records before it, and the remedy."""
    records, ends = _read_along(data)
    offset = _invalid_text(data) if isinstance(error, UnicodeDecodeError) else _syntax_error(data)
    if offset is not None:
        what = f"broken JSON at byte {offset},"
    elif "truncated" in str(error) and not ends:
        what = f"the JSON stops in the middle, at byte {len(data)},"
    else:
        what = f"broken JSON ({error})"
    return DataError(f"{path}: {what} {records.describe()}; get the file again")


def _syntax_error(data: memoryview) -> int | None:
    """The byte at which the syntax breaks; None if it does not, or only for want of an end."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        found = _BYTE.search(str(error))
        return int(found[1]) if found else None
    except RecursionError:
        pass
    return None


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
