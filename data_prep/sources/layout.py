"""What the pass over a whole annotation file finds, cached for the next run."""

import hashlib
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import TypeVar

import msgspec

from data_prep.sources.broken_json import BrokenJsonError
from data_prep.sources.json_files import (
    ByteRange,
    byte_range_of,
    byte_ranges,
    map_file,
    member,
    quote_constants,
    top_level,
)
from data_prep.sources.zips import unpacked
from data_prep.storage.errors import JSON_ERRORS
from data_prep.storage.scratch import scratch_folder
from data_prep.storage.storage import write

T = TypeVar("T")

# Part of the cache's key: another way of cutting byte ranges takes another number.
_EDITION = 2
# File systems keep times to a few milliseconds, some to two seconds.
_MOMENT_NS = 3_000_000_000


class Layout(msgspec.Struct, frozen=True):
    """Where the parts of a file are, in bytes from … to before …: its members, and whole items of its arrays."""

    members: dict[str, tuple[int, int]]
    arrays: dict[str, list[tuple[int, int]]]

    def byte_ranges(self, file: int, name: str) -> list[ByteRange]:
        """An array's byte ranges, in the file of that number."""
        return [ByteRange(file, start, end) for start, end in self.arrays[name]]

    def read(self, buffer: mmap, name: str) -> msgspec.Raw | None:
        """A member's bytes, if there is one of this name."""
        if name not in self.members:
            return None
        start, end = self.members[name]
        return msgspec.Raw(buffer[start:end])


def open_object(path: str, arrays: tuple[str, ...]) -> tuple[mmap, Layout]:
    """Map a file that holds an object and find its layout; raises DataError as `json_files` does.

    A file that is JSON but for constants and lone surrogates is mapped as the copy that `quote_constants` makes.
    """
    return _open(path, lambda buffer: object_layout(path, buffer, arrays))


def open_array(path: str, name: str) -> tuple[mmap, Layout]:
    """The same for a file that holds one array, of `name`."""
    return _open(path, lambda buffer: array_layout(path, buffer, name))


def _open(path: str, find: Callable[[mmap], Layout]) -> tuple[mmap, Layout]:
    buffer = map_file(path)
    try:
        return buffer, find(buffer)
    except BrokenJsonError:
        if not quote_constants(path):
            raise
    buffer = map_file(path)
    return buffer, find(buffer)


def object_layout(path: str, buffer: mmap, arrays: tuple[str, ...]) -> Layout:
    """The layout of a file that holds an object; `arrays` are members that are cut into byte ranges.

    Raises DataError as `json_files` does.
    """

    def find() -> Layout:
        members = top_level(path, buffer)
        wanted = {name: member(path, members, name) for name in arrays}
        cut = {name: list(byte_ranges(path, 0, buffer, data, name)) for name, data in wanted.items()}
        located = {name: byte_range_of(data, buffer) for name, data in members.items()}
        return Layout(located, {name: [(s.start, s.end) for s in found] for name, found in cut.items()})

    return _cached(f"object {arrays}", path, Layout, find)


def array_layout(path: str, buffer: mmap, name: str) -> Layout:
    """The layout of a file that holds one array, of `name`; raises DataError as `json_files` does."""

    def find() -> Layout:
        return Layout({}, {name: [(s.start, s.end) for s in byte_ranges(path, 0, buffer, buffer, name)]})

    return _cached(f"array {name}", path, Layout, find)


def cached_sha256(path: str) -> str:
    """SHA-256 of an annotation file, in hexadecimal."""

    def find() -> str:
        with unpacked(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return _cached("sha256", path, str, find)


def _cached(what: str, path: str, kind: type[T], find: Callable[[], T]) -> T:
    """The result of an earlier run on this very file (by path, size and modification time), else that of `find`."""
    cache = _cache_path(what, unpacked(path))
    if cache is None:
        return find()
    if cache.exists():
        try:
            return msgspec.json.decode(cache.read_bytes(), type=kind)
        except JSON_ERRORS:  # not written by this program; it is found again
            pass
    result = find()
    write(cache, msgspec.json.encode(result))
    return result


def _cache_path(what: str, path: Path) -> Path | None:
    """The cache file of a result; None for a file written a moment ago: it may change again without a newer time."""
    state = path.stat()
    if time.time_ns() - state.st_mtime_ns < _MOMENT_NS:
        return None
    key = f"{_EDITION}\n{what}\n{path.absolute()}\n{state.st_size}\n{state.st_mtime_ns}"
    return scratch_folder() / "layouts" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
