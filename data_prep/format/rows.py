"""Images of an index, in a few bytes each: what is read of a row is made when it is asked for."""

import operator
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.format.index import ROWS_AT_ONCE, IndexRow, index_rows
from data_prep.format.mapped_index import MappedIndex

Positions = npt.NDArray[np.int32]


class Shown(NamedTuple):
    """Which of some rows show which classes, a pair at a time, each once: positions among the rows, int32 [M];
    positions among these names, int32 [M]."""

    rows: Positions
    classes: Positions
    names: tuple[str, ...]


class Rows(Sequence[IndexRow]):
    """Some rows of a mapped index, in a given order: four bytes an image in each process.

    It reads like a list of `IndexRow`; a slice of it is `Rows`. Iterate where all are needed: that is ten times faster
    than asking for one after another.
    """

    def __init__(self, columns: MappedIndex, positions: Positions) -> None:
        self.columns, self.positions = columns, positions

    @classmethod
    def of(cls, columns: MappedIndex) -> "Rows":
        """All rows, in the order of the shards."""
        return cls(columns, np.arange(columns.table.num_rows, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, position: int) -> IndexRow: ...

    @overload
    def __getitem__(self, position: slice) -> "Rows": ...

    def __getitem__(self, position: int | slice) -> "IndexRow | Rows":
        if isinstance(position, slice):
            return Rows(self.columns, self.positions[position])
        (row,) = index_rows(self.columns.table.slice(int(self.positions[operator.index(position)]), 1))
        return row

    def __iter__(self) -> Iterator[IndexRow]:
        """Several thousand at once where they stand near each other, as in the order of the shards."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            part = self.positions[start : start + ROWS_AT_ONCE]
            first, last = int(part.min()), int(part.max())
            if last - first < 4 * ROWS_AT_ONCE:
                yield from index_rows(self.columns.table.slice(first, last - first + 1).take(pa.array(part - first)))
            else:
                yield from (self[position] for position in range(start, start + len(part)))

    def take(self, positions: npt.NDArray[np.integer]) -> "Rows":
        """The rows at these positions among them, in this order."""
        return Rows(self.columns, self.positions[positions])

    def numbers(self, column: str) -> npt.NDArray[np.int64]:
        """A column of numbers, int64 [N]."""
        parts = [np.asarray(chunk, np.int64) for chunk in self.columns.table[column].chunks]
        every: npt.NDArray[np.int64] = np.concatenate([np.empty(0, np.int64), *parts])[self.positions]
        return every

    def texts(self, column: str) -> tuple[Positions, tuple[str, ...]]:
        """A column of texts: of each row the position, int32 [N], of its text among the distinct ones, and these."""
        codes, names = _encoded(self.columns.table[column].chunks)
        return codes[self.positions], names

    def of_split(self, split: str, source: str | None = None) -> "Rows":
        """Those of a split, which the source has annotated if one is named."""
        codes, names = self.texts("split")
        here = codes == names.index(split) if split in names else np.zeros(len(self), np.bool_)
        if source is not None:
            annotated = np.zeros(self.columns.table.num_rows, np.bool_)
            for rows, _ in _values(self.columns.table["ids"], source):
                annotated[rows] = True
            here &= annotated[self.positions]
        return self.take(np.flatnonzero(here))

    def showing(self, source: str, names: Collection[str]) -> "Rows":
        """Those in which the source has annotated a class of these names."""
        wanted = np.zeros(len(self), np.bool_)
        for part in self.shown(source):
            named = np.array([name in names for name in part.names], np.bool_)
            wanted[part.rows[named[part.classes]]] = True
        return self.take(np.flatnonzero(wanted))

    def shown(self, source: str) -> Iterator[Shown]:
        """The classes that the source has annotated, some thousand rows at a time in the order of the shards."""
        place = np.full(self.columns.table.num_rows, -1, np.int32)
        place[self.positions] = np.arange(len(self), dtype=np.int32)
        for owners, values in _values(self.columns.table["classes"], source):
            rows = place[np.repeat(owners, pc.list_value_length(values))]
            codes, names = _encoded([values.flatten().filter(pa.array(rows >= 0))])
            yield Shown(rows[rows >= 0], codes, names)


def _values(column: pa.ChunkedArray, key: str) -> Iterator[tuple[Positions, pa.Array]]:
    """For each chunk of a column of maps: the rows that have the key, and their values."""
    first = 0
    for chunk in column.chunks:
        found = np.flatnonzero(np.asarray(pc.equal(chunk.keys, key)))
        rows = np.searchsorted(np.asarray(chunk.offsets), found, side="right") - 1
        yield (first + rows).astype(np.int32), chunk.items.take(pa.array(found))
        first += len(chunk)


def _encoded(parts: Iterable[pa.Array]) -> tuple[Positions, tuple[str, ...]]:
    """Texts as positions, int32 [N], among the distinct ones, in the order in which these come first."""
    known: dict[str, int] = {}
    codes = [np.empty(0, np.int32)]
    for part in parts:
        encoded = part.dictionary_encode()
        own = np.array([known.setdefault(name, len(known)) for name in encoded.dictionary.to_pylist()], np.int32)
        codes.append(own[np.asarray(encoded.indices)])
    return np.concatenate(codes), tuple(known)
