"""Tables of image ids: for each annotation file, the shard that each image goes to, or why it goes to none."""

from array import array
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from data_prep.sources.images import SourceImage

# In place of a shard's number.
EXCLUDED, REJECTED, UNKNOWN = -1, -2, -3

TABLE = np.dtype([("id", "<i8"), ("shard", "<i4"), ("position", "<i4")])


class ImageTables:
    """The tables while they are made, row by row."""

    def __init__(self) -> None:
        self._rows: dict[int, array[int]] = {}

    def add(self, images: Iterable[SourceImage], shard: int, position: int = 0) -> None:
        """Record that images go to that position of a shard, or to none (EXCLUDED, REJECTED)."""
        for image in images:
            for file, number in (image.identity, *image.aliases):
                self._rows.setdefault(file, array("q")).extend((number, shard, position))

    def table(self, file: int) -> npt.NDArray[np.void]:
        """The file's images in order of their ids, dtype TABLE."""
        rows = np.frombuffer(self._rows.get(file, array("q")), np.int64).reshape(-1, 3)
        table = np.zeros(len(rows), TABLE)
        table["id"], table["shard"], table["position"] = rows[np.argsort(rows[:, 0])].T
        return table


def look_up(table: npt.NDArray[np.void], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """The table's row for each id, int64[N] → TABLE[N]; the shard is UNKNOWN for an id that the table lacks."""
    if not len(table):
        rows = np.zeros(len(ids), TABLE)
        rows["shard"] = UNKNOWN
        return rows
    positions = np.minimum(np.searchsorted(table["id"], ids), len(table) - 1)
    rows = table[positions].copy()
    rows["shard"][rows["id"] != ids] = UNKNOWN
    return rows
