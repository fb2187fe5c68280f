"""Annotation files of any size: mapped, checked once, and cut into byte ranges of whole items.

A file is never held as Python objects: msgspec splits it into views of the mapped bytes, and whoever needs an item
decodes that item. A byte range is half a megabyte of items, the unit that a worker reads at a time.
"""

import mmap
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.rejects import excerpt
from data_prep.sources import converted
from data_prep.sources.broken_json import BrokenJsonError, MisshapenError, broken_json_error
from data_prep.sources.unsupported_files import HEAD, kind_of_items, kind_of_object
from data_prep.sources.zips import unpacked
from data_prep.storage.errors import JSON_ERRORS, DataError

T = TypeVar("T")
RANGE_BYTES = 1 << 19
_SHOWN = 6
_RECORDS_BY_NAME = re.compile(rb'\s*\{\s*"(?:[^"\\]|\\.)*+"\s*:\s*[{\[]', re.DOTALL)


class ByteRange(msgspec.Struct, frozen=True):
    """Whole items of a JSON array: the bytes from `start` to before `end` of the file number `file`, no brackets."""

    file: int
    start: int
    end: int


def map_file(path: str) -> mmap.mmap:
    """The bytes of a file, or of what its zip holds, mapped read-only; raises DataError if there is none."""
    try:
        with unpacked(path).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise DataError(f"{path}: no such file") from None
    except ValueError:
        raise BrokenJsonError(f"{path}: the file is empty") from None


def quote_constants(path: str) -> bool:
    """Have `map_file` map a copy in which `NaN` and `Infinity` are strings and lone surrogates are U+FFFD; False if the
    file has none of them."""
    readable = unpacked(path)
    return not converted.is_quoted(readable) and converted.quote_constants(readable)


def has_quoted_constants(path: str) -> bool:
    """Whether `map_file` maps such a copy."""
    return converted.is_quoted(unpacked(path))


def top_level(path: str, buffer: mmap.mmap) -> dict[str, msgspec.Raw]:
    """The members of the file's object. All of the file is read: a syntax error anywhere is a DataError."""
    return _decode(path, buffer, dict[str, msgspec.Raw], "an object")


def member(path: str, members: dict[str, msgspec.Raw], name: str) -> msgspec.Raw:
    """One member by name; raises DataError, which says what the file looks like, if it is missing."""
    if name not in members:
        first = next(iter(members.values()), msgspec.Raw(b"{}"))
        kind = kind_of_object(members, _first_names(first))
        looks = f"; it looks like {kind}" if kind else f", but {_listed(members)}; is it the right file?"
        raise DataError(f"{path}: has no {name!r}{looks}")
    return members[name]


def _listed(names: Collection[str]) -> str:
    """The names, as a phrase."""
    some = ", ".join(map(repr, list(names)[:_SHOWN]))
    return f"{some}, …" if len(names) > _SHOWN else some or "nothing"


def _first_names(data: mmap.mmap | msgspec.Raw) -> Collection[str]:
    """The names of an object's members, or of those of a list's first item; none of anything else."""
    with suppress(*JSON_ERRORS):
        value = msgspec.json.decode(memoryview(data), type=dict[str, msgspec.Raw] | list[msgspec.Raw])
        if isinstance(value, dict):
            return value.keys()
        return msgspec.json.decode(value[0], type=dict[str, msgspec.Raw]).keys() if value else ()
    return ()


def _decode(path: str, data: mmap.mmap | msgspec.Raw, kind: type[T], expected: str) -> T:
    try:
        return msgspec.json.decode(memoryview(data), type=kind)
    except msgspec.ValidationError:
        _decode(path, data, msgspec.Raw, "JSON")  # what is no JSON at all is told first
        by_name = isinstance(data, msgspec.Raw) and _RECORDS_BY_NAME.match(memoryview(data)[:HEAD])
        kind_of_error = MisshapenError if by_name else DataError
        raise kind_of_error(f"{path}: should hold {expected}, {_instead(data)}") from None
    except JSON_ERRORS as error:
        raise broken_json_error(path, memoryview(data), error) from None


def _instead(data: mmap.mmap | msgspec.Raw) -> str:
    """What stands there instead, as the rest of a sentence."""
    is_list = bytes(memoryview(data)[:HEAD]).lstrip().startswith(b"[")
    if isinstance(data, msgspec.Raw):
        text = bytes(memoryview(data)[:HEAD]).lstrip()
        if not text.startswith(b"{"):
            return f"and holds {excerpt(text)}: give a list, [ … ], which may be empty"
        return "and holds an object: give its values as a list, [ … ], without their names"
    names = _first_names(data)
    if kind := kind_of_items(names) if is_list else kind_of_object(names):
        return f"and looks like {kind}"
    return f"and holds {'a list' if is_list else 'something else'}; is it the right file?"


def byte_range_of(data: msgspec.Raw, buffer: mmap.mmap | bytes) -> tuple[int, int]:
    """The member's bytes in what it was decoded from, a file or a record: from …, to before …."""
    start = _address(data) - _address(buffer)
    return start, start + memoryview(data).nbytes


def byte_ranges(
    path: str, file: int, buffer: mmap.mmap, data: mmap.mmap | msgspec.Raw, name: str, size: int = RANGE_BYTES
) -> Iterator[ByteRange]:
    """Cut an array into byte ranges of about `size` bytes, one at a time: `buffer` itself, or a member of its object.

    Every byte range has been parsed once when it is returned. Raises DataError if the data is broken or no array (of
    `name`).
    """
    shift = _address(data) - _address(buffer)
    text = memoryview(data)
    begin, end = _next(buffer, shift), _previous(buffer, shift + text.nbytes)
    if begin >= end or buffer[begin] != ord("[") or buffer[end] != ord("]"):
        _decode(path, data, list[msgspec.Raw], f"an array ({name})")
    begin = _next(buffer, begin + 1)
    cut = begin
    while cut < end:
        cut = _guess(buffer, begin, end, size)
        if not _holds_items(buffer, begin, cut):
            cut = _read_on(buffer, begin, end, size)
            if not _holds_items(buffer, begin, cut):
                _decode(path, data, msgspec.Raw, f"an array ({name})")
                raise DataError(f"{path}: broken JSON (near byte {begin}); write the file again")
        yield ByteRange(file, begin, cut)
        begin = cut + 1


# Brackets give the depth of nesting; a string is one token.
_BRACKET_OR_COMMA = re.compile(rb"[][{},]")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{},]', re.DOTALL)
_NOT_SPACE = re.compile(rb"[^ \t\r\n]")
_NEXT_ITEM = re.compile(rb"[^ \t\r\n,]")
_DEPTH = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def _guess(buffer: mmap.mmap, begin: int, end: int, size: int) -> int:
    """The first comma between items beyond `size` bytes, if no string holds a bracket; else any byte."""
    target = begin + size
    if target >= end:
        return end
    piece = np.frombuffer(buffer, np.uint8, size, begin) | 0x20  # makes [ a {, and ] a }
    depth = int(np.count_nonzero(piece == ord("{")) - np.count_nonzero(piece == ord("}")))
    # The search ends after one more range's length: a bracket in a string must not put all the rest into one range.
    return _comma_after(_BRACKET_OR_COMMA, buffer, target, min(target + size, end), target, depth) or begin


def _read_on(buffer: mmap.mmap, begin: int, end: int, size: int) -> int:
    """The first comma between items beyond `size` bytes, found by reading every token."""
    return _comma_after(_TOKEN, buffer, begin, end, begin + size, 0) or end


def _comma_after(
    tokens: re.Pattern[bytes], buffer: mmap.mmap, begin: int, end: int, target: int, depth: int
) -> int | None:
    for token in tokens.finditer(buffer, begin, end):
        found = token.group()
        depth += _DEPTH.get(found, 0)
        if depth == 0 and found == b"," and token.start() >= target:
            return token.start()
    return None


def _holds_items(buffer: mmap.mmap, begin: int, end: int) -> bool:
    """Whether these bytes are one item or more, with a comma between any two: then they end where an item ends."""
    try:
        return bool(msgspec.json.decode(_as_array(buffer, begin, end), type=list[msgspec.Raw]))
    except JSON_ERRORS:
        return False


def _as_array(buffer: mmap.mmap, begin: int, end: int) -> bytes:
    return b"".join((b"[", memoryview(buffer)[begin:end], b"]"))


def _next(data: mmap.mmap | bytes, start: int, wanted: re.Pattern[bytes] = _NOT_SPACE) -> int:
    """Where the next character other than white space is, or one that is `wanted`."""
    found = wanted.search(data, start)
    return found.start() if found else len(data)


def _previous(buffer: mmap.mmap, end: int) -> int:
    """Where the last character other than white space before `end` is."""
    while end > 0 and buffer[end - 1] in b" \t\r\n":
        end -= 1
    return end - 1


@dataclass(frozen=True)
class Items:
    """A byte range's items: `data` is a JSON array of them; their `offsets` and `lengths` in the file, int64[N]."""

    data: bytes
    raw: list[msgspec.Raw]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def __iter__(self) -> Iterator[tuple[int, msgspec.Raw]]:
        return zip(self.offsets.tolist(), self.raw, strict=True)


def read_items(buffer: mmap.mmap, byte_range: ByteRange) -> Items:
    """Read the items of a byte range."""
    data = _as_array(buffer, byte_range.start, byte_range.end)
    raw = msgspec.json.decode(data, type=list[msgspec.Raw])
    lengths = [memoryview(item).nbytes for item in raw]
    begin = byte_range.start - 1  # of the file, as `data` has a bracket first
    return Items(data, raw, np.array(_offsets(data, lengths), np.int64) + begin, np.array(lengths, np.int64))


def _offsets(data: bytes, lengths: list[int]) -> list[int]:
    """Where the items of a JSON array begin: nothing but white space and a comma stands between two."""
    offsets = []
    end = 1
    for length in lengths:
        offsets.append(_next(data, end, _NEXT_ITEM))
        end = offsets[-1] + length
    return offsets


def _address(data: mmap.mmap | bytes | msgspec.Raw) -> int:
    """Where a view begins in memory: the difference to the buffer it views is its offset in the file."""
    return int(np.frombuffer(data, np.uint8).__array_interface__["data"][0])
