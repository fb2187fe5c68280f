"""Images' bytes read ahead of their use, neighbors in one read, from disk or object storage.

One process reads whole blocks: images and records of neighbors come with one request. Of several ranks each has a part
of every batch, so about every R-th image of a block is its own; it reads those alone (and what little is between
them), with up to a request an image, so that all ranks together read each byte once. Blocks that are one rank's alone
would need an order that depends on the number of ranks, or places in the batch with blocks of their own, which depends
on the batch size: either would give a resumed training other batches on other machines.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from data_prep.format.index import IndexRow
from data_prep.format.read_at_once import Stretch, stretches
from data_prep.format.reader import Dataset
from data_prep.format.rows import Rows
from data_prep.storage.errors import DataError
from data_prep.storage.storage import read_range
from maskx_model.data.image_order import ImageOrder
from maskx_model.data.training_order import BLOCK, POOL

BLOCKS_AHEAD = 4
"""More than the pools in use: they are on their way when a pool is used up."""
THREADS = 8
"""Requests at a time; an object store answers one in some 30 ms."""


class RawSample(NamedTuple):
    """A sample's number, its row, and the bytes of its image and record as they stand in the shard."""

    number: int
    row: IndexRow
    image: bytes
    record: bytes


_Read = dict[int, RawSample | DataError]
"""What came with a read, by its place in it."""
Coming = Callable[[], RawSample | DataError]
"""Waits for a sample; an error for one whose bytes are not there. It is to be called once."""


class BlockReader:
    """Reads the samples of some steps; `take` them in order.

    In memory are as many as a pool has (for each group of the order), and a few blocks on their way. Storage that fails
    or refuses raises StorageError or ConfigError where the sample is waited for.
    """

    def __init__(self, dataset: Dataset, rows: Rows, order: ImageOrder, steps: range, own: range) -> None:
        self._dataset, self._rows, self._order = dataset, rows, order
        self._stretches = self._planned(steps, own)
        self._at_most = POOL * len(order.streams) + BLOCK * BLOCKS_AHEAD
        self._threads = ThreadPoolExecutor(THREADS)
        self._coming: dict[int, tuple[Future[_Read], int]] = {}

    def take(self, number: int) -> Coming:
        """The sample with this number, which is on its way now."""
        while number not in self._coming:
            self._request(*next(self._stretches))
        while len(self._coming) < self._at_most and (planned := next(self._stretches, None)):
            self._request(*planned)
        future, place = self._coming.pop(number)

        def wait() -> RawSample | DataError:
            return future.result().pop(place)  # its bytes go when it is used

        return wait

    def close(self) -> None:
        """Request nothing more; waits for what is being read."""
        self._threads.shutdown(cancel_futures=True)

    def _planned(self, steps: range, own: range) -> Iterator[tuple[list[int], Stretch]]:
        for numbers in self._order.pools(steps, own):
            positions = np.array([self._order.image(self._order.place(number)) for number in numbers])
            in_shards = positions.argsort(kind="stable")
            waiting = iter(in_shards.tolist())
            for stretch in stretches(self._rows.take(positions[in_shards])):
                yield [numbers[next(waiting)] for _ in stretch.rows], stretch

    def _request(self, numbers: list[int], stretch: Stretch) -> None:
        future = self._threads.submit(_read, self._dataset, stretch, numbers)
        self._coming.update((number, (future, place)) for place, number in enumerate(numbers))


def _read(dataset: Dataset, stretch: Stretch, numbers: list[int]) -> _Read:
    return dict(enumerate(read_stretch(dataset, stretch, numbers)))


def read_stretch(dataset: Dataset, stretch: Stretch, numbers: list[int]) -> list[RawSample | DataError]:
    """The samples of a stretch in one read; where that is not all there, each by itself or the error for it."""
    try:
        uri = f"{dataset.uri}/{stretch.rows[0].shard}"
        data = memoryview(read_range(uri, stretch.start, stretch.end - stretch.start))
    except DataError as error:
        if len(numbers) == 1:
            return [DataError(f"{error} (image {stretch.rows[0].key})")]
        return [
            sample
            for row, number in zip(stretch.rows, numbers, strict=True)
            for one in stretches([row])
            for sample in read_stretch(dataset, one, [number])
        ]

    def part(offset: int, length: int) -> bytes:
        return bytes(data[offset - stretch.start : offset - stretch.start + length])

    return [
        RawSample(number, row, part(row.image_offset, row.image_length), part(row.record_offset, row.record_length))
        for row, number in zip(stretch.rows, numbers, strict=True)
    ]
