"""What the pass over a whole annotation file finds, kept so that a second run need not make it again."""

import hashlib
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import TypeVar

import msgspec

from data_prep.sources.json_files import Span, member, place_of, spans, top_level
from data_prep.sources.zips import unpacked
from data_prep.storage.errors import JSON_ERRORS
from data_prep.storage.scratch import locked, scratch_folder
from data_prep.storage.storage import write

T = TypeVar("T")

# Belongs to what is kept; another way of cutting spans takes another number.
_EDITION = 2
# File systems keep times to a few milliseconds, some to two seconds.
_MOMENT_NS = 3_000_000_000


class Layout(msgspec.Struct, frozen=True):
    """Where the parts of a file stand, in bytes from … to before …: its members, and whole items of its arrays."""

    members: dict[str, tuple[int, int]]
    arrays: dict[str, list[tuple[int, int]]]

    def spans(self, file: int, name: str) -> list[Span]:
        """An array's spans, in the file of that number."""
        return [Span(file, start, end) for start, end in self.arrays[name]]

    def read(self, buffer: mmap, name: str) -> msgspec.Raw | None:
        """A member's bytes, if there is one of this name."""
        if name not in self.members:
            return None
        start, end = self.members[name]
        return msgspec.Raw(buffer[start:end])


def object_layout(path: str, buffer: mmap, arrays: tuple[str, ...]) -> Layout:
    """The layout of a file that holds an object; `arrays` are members that are cut into spans.

    Raises DataError as `json_files` does.
    """

    def find() -> Layout:
        members = top_level(path, buffer)
        cut = {name: list(spans(path, 0, buffer, member(path, members, name), name)) for name in arrays}
        places = {name: place_of(data, buffer) for name, data in members.items()}
        return Layout(places, {name: [(s.start, s.end) for s in found] for name, found in cut.items()})

    return _kept(f"object {arrays}", path, Layout, find)


def array_layout(path: str, buffer: mmap, name: str) -> Layout:
    """The layout of a file that holds one array, of `name`; raises DataError as `json_files` does."""

    def find() -> Layout:
        return Layout({}, {name: [(s.start, s.end) for s in spans(path, 0, buffer, buffer, name)]})

    return _kept(f"array {name}", path, Layout, find)


def kept_sha256(path: str) -> str:
    """SHA-256 of an annotation file, in hexadecimal."""

    def find() -> str:
        with unpacked(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return _kept("sha256", path, str, find)


def _kept(what: str, path: str, kind: type[T], find: Callable[[], T]) -> T:
    """What an earlier run found in this very file (by path, size and modification time), what another process is about
    to find in it, or what `find` finds now."""
    place = _place(what, unpacked(path))
    if place is None:
        return find()
    with locked(place):
        if place.exists():
            try:
                return msgspec.json.decode(place.read_bytes(), type=kind)
            except JSON_ERRORS:  # nothing that this program has written; it is found anew
                pass
        found = find()
        write(place, msgspec.json.encode(found))
    return found


def _place(what: str, path: Path) -> Path | None:
    """Where something is kept; None for a file that was written a moment ago: it may change and its time may not."""
    state = path.stat()
    if time.time_ns() - state.st_mtime_ns < _MOMENT_NS:
        return None
    key = f"{_EDITION}\n{what}\n{path.absolute()}\n{state.st_size}\n{state.st_mtime_ns}"
    return scratch_folder() / "layouts" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
