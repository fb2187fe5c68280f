"""Read images and records of many rows in order: neighbours in one read, some reads ahead of their use."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

from data_prep.format.index import IndexRow
from data_prep.format.read_at_once import Stretch, stretches
from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from data_prep.storage.read_ahead import begun_ahead, reading_threads
from data_prep.storage.storage import read_range

_AHEAD = 4


class Sample(NamedTuple):
    """An image: its row, its file's bytes (empty where they were not asked for), and its record."""

    row: IndexRow
    image: bytes
    record: Record


def read_samples(dataset: Dataset, rows: Iterable[IndexRow], images: bool) -> Generator[Sample, None, None]:
    """The samples of rows, in their order, with the images' bytes or without; raises DataError as `Dataset` does."""
    with reading_threads(_AHEAD) as threads:
        begun = ((each, threads.submit(_read, dataset, each)) for each in stretches(rows, images))
        for stretch, coming in begun_ahead(begun, _AHEAD):
            yield from _cut(dataset, stretch, coming, images)


def _read(dataset: Dataset, stretch: Stretch) -> bytes:
    return read_range(f"{dataset.uri}/{stretch.rows[0].shard}", stretch.start, stretch.end - stretch.start)


def _cut(dataset: Dataset, stretch: Stretch, coming: Future[bytes], images: bool) -> Iterator[Sample]:
    data = memoryview(coming.result())
    for row in stretch.rows:
        first, begin = row.image_offset - stretch.start, row.record_offset - stretch.start
        image = bytes(data[first : first + row.image_length]) if images else b""
        yield Sample(row, image, dataset.decode(row, bytes(data[begin : begin + row.record_length])))
