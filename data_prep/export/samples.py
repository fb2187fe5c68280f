"""Read images and records of many rows in order: neighbours in one read, some reads ahead of their use."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from data_prep.storage.storage import read_range

_MOST_BYTES = 8 << 20
_GAP_BYTES = 64 << 10
_AHEAD = 4


class Sample(NamedTuple):
    """An image: its row, its file's bytes (empty where they were not asked for), and its record."""

    row: IndexRow
    image: bytes
    record: Record


class _Stretch(NamedTuple):
    """Rows of one shard whose bytes are read at once, from `start` to before `end`."""

    rows: list[IndexRow]
    start: int
    end: int


def read_samples(dataset: Dataset, rows: Iterable[IndexRow], images: bool) -> Generator[Sample, None, None]:
    """The samples of rows, in their order, with the images' bytes or without; raises DataError as `Dataset` does."""
    threads = ThreadPoolExecutor(_AHEAD)
    waiting: deque[tuple[_Stretch, Future[bytes]]] = deque()
    try:
        for stretch in _stretches(rows, images):
            uri = f"{dataset.uri}/{stretch.rows[0].shard}"
            waiting.append((stretch, threads.submit(read_range, uri, stretch.start, stretch.end - stretch.start)))
            if len(waiting) > _AHEAD:
                yield from _cut(dataset, *waiting.popleft(), images)
        while waiting:
            yield from _cut(dataset, *waiting.popleft(), images)
    finally:
        threads.shutdown(cancel_futures=True)


def _stretches(rows: Iterable[IndexRow], images: bool) -> Iterator[_Stretch]:
    open_one: _Stretch | None = None
    for row in rows:
        start = row.image_offset if images else row.record_offset
        end = row.record_offset + row.record_length
        if open_one and _joins(open_one, row, start, end):
            open_one.rows.append(row)
            open_one = open_one._replace(end=end)
            continue
        if open_one:
            yield open_one
        open_one = _Stretch([row], start, end)
    if open_one:
        yield open_one


def _joins(stretch: _Stretch, row: IndexRow, start: int, end: int) -> bool:
    near = 0 <= start - stretch.end <= _GAP_BYTES
    return near and row.shard == stretch.rows[0].shard and end - stretch.start <= _MOST_BYTES


def _cut(dataset: Dataset, stretch: _Stretch, coming: Future[bytes], images: bool) -> Iterator[Sample]:
    data = memoryview(coming.result())
    for row in stretch.rows:
        first, begin = row.image_offset - stretch.start, row.record_offset - stretch.start
        image = bytes(data[first : first + row.image_length]) if images else b""
        yield Sample(row, image, dataset.decode(row, bytes(data[begin : begin + row.record_length])))
