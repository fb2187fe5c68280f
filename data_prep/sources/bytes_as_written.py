"""A file's bytes as it writes them, where what is mapped is a copy in which `NaN` and `Infinity` are strings.

Lone surrogates are replaced there too, by as many bytes, so that they move no place.
"""

import mmap
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

from data_prep.sources.converted import constants
from data_prep.sources.json_files import has_quoted_constants, map_file
from data_prep.sources.zips import unpacked_unquoted

_QUOTES = 2
_PIECE = 1 << 20


class AsWritten:
    """The bytes of a file, unpacked and in UTF-8, by their places in what `map_file` maps, none of which is within a
    constant. Raises DataError as `map_file` does."""

    def __init__(self, path: str) -> None:
        self._buffer = map_file(path)
        self._constants = array("q")  # where each begins in the copy
        if has_quoted_constants(path):
            with unpacked_unquoted(path).open("rb") as file:
                self._buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            found = enumerate(constants(self._buffer))
            self._constants.extend(constant.start() + _QUOTES * number for number, constant in found)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, a megabyte at a time."""
        last = self._place(end)
        for place in range(self._place(start), last, _PIECE):
            yield self._buffer[place : min(place + _PIECE, last)]

    def within(self, offset: int) -> Callable[[int, int], bytes]:
        """What gives the bytes from … to before …, counted from `offset`."""
        return lambda start, end: b"".join(self.pieces(offset + start, offset + end))

    def _place(self, position: int) -> int:
        return position - _QUOTES * bisect_left(self._constants, position)
