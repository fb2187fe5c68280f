"""Annotation files of any size: mapped, checked once, and cut into spans of whole items.

A file is never held as Python objects: msgspec splits it into views of the mapped bytes, and whoever needs an item
decodes that item. A span is a few megabytes of items; it is what one worker reads at a time.
"""

import mmap
from collections.abc import Iterator
from typing import TypeVar

import msgspec
import numpy as np

from data_prep.format.errors import JSON_ERRORS, DataError
from data_prep.sources.broken_json import broken
from data_prep.sources.zips import unpacked

T = TypeVar("T")
SPAN_BYTES = 1 << 22


class Span(msgspec.Struct, frozen=True):
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
        raise DataError(f"{path}: the file is empty") from None


def top_level(path: str, buffer: mmap.mmap) -> dict[str, msgspec.Raw]:
    """The members of the file's object. All of the file is read: a syntax error anywhere is a DataError."""
    return _decode(path, buffer, dict[str, msgspec.Raw], "an object")


def member(path: str, members: dict[str, msgspec.Raw], name: str) -> msgspec.Raw:
    """One member by name; raises DataError if it is missing."""
    if name not in members:
        raise DataError(f"{path}: has no {name!r}; is it the right file?")
    return members[name]


def array(path: str, data: mmap.mmap | msgspec.Raw, name: str) -> list[msgspec.Raw]:
    """The items of an array, as views; raises DataError if it is not an array."""
    return _decode(path, data, list[msgspec.Raw], f"an array ({name})")


def _decode(path: str, data: mmap.mmap | msgspec.Raw, kind: type[T], expected: str) -> T:
    try:
        return msgspec.json.decode(memoryview(data), type=kind)
    except msgspec.ValidationError:
        raise DataError(f"{path}: should hold {expected}; is it the right file?") from None
    except JSON_ERRORS as error:
        raise broken(path, memoryview(data), error) from None


def spans(file: int, buffer: mmap.mmap, items: list[msgspec.Raw], size: int = SPAN_BYTES) -> Iterator[Span]:
    """Cut an array's items into spans of about `size` bytes."""
    base, start, filled = _address(buffer), 0, 0
    for position, item in enumerate(items):
        filled += len(memoryview(item))
        if filled >= size or position == len(items) - 1:
            begin, last = _address(items[start]) - base, _address(item) - base
            yield Span(file, begin, last + memoryview(item).nbytes)
            start, filled = position + 1, 0


def read_span(buffer: mmap.mmap, span: Span) -> tuple[bytes, list[tuple[int, msgspec.Raw]]]:
    """A span as a JSON array of its own, and its items with their offsets in the file."""
    data = b"[" + buffer[span.start : span.end] + b"]"
    shift = span.start - 1 - _address(data)
    return data, [(_address(item) + shift, item) for item in msgspec.json.decode(data, type=list[msgspec.Raw])]


def _address(data: mmap.mmap | msgspec.Raw | bytes) -> int:
    """Where a view begins in memory: the difference to the buffer it views is its offset in the file."""
    return int(np.frombuffer(data, np.uint8).__array_interface__["data"][0])
