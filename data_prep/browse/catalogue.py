"""Find the images of each class, and choose those that the page shows: from the index alone."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.format.vocabulary import Vocabulary

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Catalogue:
    """The index by class. `rows`: the row in the index of every (class, image) pair, int64[N], ascending within a
    class. Class `c` has those from `starts[c]` to `starts[c + 1]`, int64[K + 1]. `order`: a number for each image that
    depends on its key alone, uint64[rows of the index]."""

    rows: Integers
    starts: Integers
    order: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, index: pa.Table, vocabulary: Vocabulary) -> "Catalogue":
        """Build it from the index and the classes of a dataset."""
        pairs = np.unique(np.concatenate([np.zeros(0, np.int64), *_pairs(index["classes"], vocabulary)]))
        positions, rows = np.divmod(pairs, max(len(index), 1))
        starts = np.searchsorted(positions, np.arange(len(vocabulary) + 1))
        order = np.array([_number(key) for key in index["key"].to_pylist()], np.uint64)
        return cls(rows, starts, order)

    def count_images(self, position: int) -> int:
        """The number of images with an object of the class."""
        return int(self.starts[position + 1] - self.starts[position])

    def pick(self, position: int, synset: str, most: int) -> Integers:
        """Rows of up to `most` images of the class: the same ones each time, different ones for each class."""
        rows = self.rows[self.starts[position] : self.starts[position + 1]]
        distance = self.order[rows] ^ np.uint64(_number(synset))
        return rows[np.argsort(distance, kind="stable")[:most]]

    def sample(self, rows: Integers, most: int) -> Integers:
        """Up to `most` of these rows, spread over all of them, the same ones each time."""
        return rows[np.argsort(self.order[rows], kind="stable")[:most]]


def _pairs(column: pa.ChunkedArray, vocabulary: Vocabulary) -> list[Integers]:
    """For each source, position × images + row of every class that it annotated in an image, by the index."""
    column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # an index without rows has no chunk to return
        return []
    row_of_entry = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
    pairs = []
    for source in column.keys.unique().to_pylist():
        own = pc.equal(column.keys, source)
        lists = column.items.filter(own)
        lengths = pc.list_value_length(lists).to_numpy()
        rows = np.repeat(row_of_entry[own.to_numpy(zero_copy_only=False)], lengths)
        positions = _positions(lists.flatten(), vocabulary.index(source))
        known = positions >= 0
        pairs.append(positions[known] * len(column) + rows[known])
    return pairs


def _positions(names: pa.StringArray, index: dict[str, int]) -> Integers:
    """The position of each name in the vocabulary, -1 for a name it does not have."""
    found = pc.fill_null(pc.index_in(names, value_set=pa.array(list(index), pa.string())), -1)
    positions: Integers = np.array([*index.values(), -1], np.int64)[found.to_numpy()]
    return positions


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
