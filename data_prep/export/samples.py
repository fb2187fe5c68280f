"""Read images and records of many rows in order: neighbours in one read, some reads ahead of their use."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from data_prep.format.index import IndexRow
from data_prep.format.read_at_once import Stretch, stretches
from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from data_prep.storage.storage import read_range

_AHEAD = 4


class Sample(NamedTuple):
    """An image: its row, its file's bytes (empty where they were not asked for), and its record."""

    row: IndexRow
    image: bytes
    record: Record


def read_samples(dataset: Dataset, rows: Iterable[IndexRow], images: bool) -> Generator[Sample, None, None]:
    """The samples of rows, in their order, with the images' bytes or without; raises DataError as `Dataset` does."""
    threads = ThreadPoolExecutor(_AHEAD)
    waiting: deque[tuple[Stretch, Future[bytes]]] = deque()
    try:
        for stretch in stretches(rows, images):
            uri = f"{dataset.uri}/{stretch.rows[0].shard}"
            waiting.append((stretch, threads.submit(read_range, uri, stretch.start, stretch.end - stretch.start)))
            if len(waiting) > _AHEAD:
                yield from _cut(dataset, *waiting.popleft(), images)
        while waiting:
            yield from _cut(dataset, *waiting.popleft(), images)
    finally:
        threads.shutdown(cancel_futures=True)


def _cut(dataset: Dataset, stretch: Stretch, coming: Future[bytes], images: bool) -> Iterator[Sample]:
    data = memoryview(coming.result())
    for row in stretch.rows:
        first, begin = row.image_offset - stretch.start, row.record_offset - stretch.start
        image = bytes(data[first : first + row.image_length]) if images else b""
        yield Sample(row, image, dataset.decode(row, bytes(data[begin : begin + row.record_length])))
