"""Rows whose bytes stand near each other in a shard, to be read at once."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from data_prep.format.index import IndexRow

MOST_BYTES = 8 << 20
GAP_BYTES = 64 << 10


class Stretch(NamedTuple):
    """Rows of one shard whose bytes are read at once, from `start` to before `end`."""

    rows: list[IndexRow]
    start: int
    end: int


def stretches(rows: Iterable[IndexRow], images: bool = True) -> Iterator[Stretch]:
    """The rows in their order, with their images and records or with records alone.

    A stretch ends where the next row is in another shard, before the last one, or more than 64 KiB behind it, or would
    make the stretch more than 8 MiB.
    """
    open_one: Stretch | None = None
    for row in rows:
        start = row.image_offset if images else row.record_offset
        end = row.record_offset + row.record_length
        if open_one and _joins(open_one, row, start, end):
            open_one.rows.append(row)
            open_one = open_one._replace(end=end)
            continue
        if open_one:
            yield open_one
        open_one = Stretch([row], start, end)
    if open_one:
        yield open_one


def _joins(stretch: Stretch, row: IndexRow, start: int, end: int) -> bool:
    near = 0 <= start - stretch.end <= GAP_BYTES
    return near and row.shard == stretch.rows[0].shard and end - stretch.start <= MOST_BYTES
