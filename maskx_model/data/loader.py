"""Batches of images as a training requests them: read in blocks and decoded ahead of their use.

A step's batch is a pure function of the run's seed and the step: it is found at once, by any process. Where a damaged
image would stand, the next good one of its group's order stands as well.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from itertools import starmap

import torch
from torch.utils.data import DataLoader, Sampler

from data_prep.format.read_at_once import stretches
from data_prep.format.rows import Rows
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.read_ahead import begun_ahead, reading_threads
from maskx_model.data.decode import Decoder
from maskx_model.data.image_order import Place, image_order
from maskx_model.data.loading import PLAIN, Loading
from maskx_model.data.read_blocks import BlockReader, RawSample, read_stretch
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.data.set_aside import SetAside

WORKERS = 4
"""Processes or threads that decode; each some 100 images of COCO's size in a second."""
BATCHES_AHEAD = 2
"""Batches that threads decode while another is in use."""


class TrainingBatches:
    """Item `step` is that step's batch, whatever was requested before.

    Every epoch contains each row's image once (`loading` may group and repeat them). With `flip` half of the samples,
    drawn at random, are mirrored. Rank `rank` of `ranks` has its slice of each batch: images and flips are the same for
    any number of ranks. Damaged images are set aside, and others take their places. Raises ConfigError where the ranks
    do not divide `batch_size`, DataError where too many images are damaged.
    """

    def __init__(
        self,
        reader: SampleReader,
        rows: Rows,
        batch_size: int,
        seed: int,
        flip: bool,
        rank: int = 0,
        ranks: int = 1,
        loading: Loading = PLAIN,
    ) -> None:
        if batch_size % ranks:
            below = batch_size // ranks * ranks
            fitting = f"{below} or {below + ranks}" if below else str(ranks)
            raise ConfigError(
                f"images_per_batch: {ranks} ranks cannot share {batch_size} images evenly; {fitting} would fit "
                f"(any multiple of {ranks})"
            )
        self.dataset, self.rows = reader.dataset, rows
        self.own = range(rank * batch_size // ranks, (rank + 1) * batch_size // ranks)
        names = frozenset(reader.index)
        by_shape, threshold = loading.group_by_shape, loading.repeat_threshold
        self.order = image_order(rows, reader.source, names, batch_size, seed, by_shape, threshold)
        self.decoder = Decoder(reader, seed, flip, loading)
        self._set_aside = SetAside(reader.dataset.uri, len(rows), loading.max_set_aside)

    def __getitem__(self, step: int) -> list[Sample]:
        (batch,) = _by_threads(self, range(step, step + 1))
        return batch

    def numbers(self, step: int) -> range:
        """The numbers of this rank's samples of a step, in the endless sequence of all ranks' samples."""
        first = step * self.order.batch_size
        return range(first + self.own.start, first + self.own.stop)

    def read(self, steps: range) -> BlockReader:
        """The samples of those steps on their way, in blocks."""
        return BlockReader(self.dataset, self.rows, self.order, steps, self.own)

    def whole(self, step: int, found: list[Sample | DataError]) -> list[Sample]:
        """This rank's batch of a step with good images in the places of damaged ones."""
        return [
            self._instead(number, each) if isinstance(each, DataError) else each
            for number, each in zip(self.numbers(step), found, strict=True)
        ]

    def _instead(self, number: int, error: DataError) -> Sample:
        """The next good image of the order, decoded for the place of a damaged one."""
        group, damaged = self.order.place(number)
        self._set_aside.add(self.order.image(Place(group, damaged)), error)
        for place in range(damaged + 1, damaged + len(self.order.streams[group])):
            position = self.order.image(Place(group, place))
            if position not in self._set_aside:
                (stretch,) = stretches(self.rows[position : position + 1])
                (raw,) = read_stretch(self.dataset, stretch, [number])
                sample = self.decoder.decode(raw)
                if isinstance(sample, Sample):
                    return sample
                self._set_aside.add(position, sample)
        raise DataError(f"{self.dataset.uri}: no training image can be read; the first: {error}")


def load_batches(samples: TrainingBatches, steps: range, device: torch.device) -> Iterator[list[Sample]]:
    """The batches of those steps, in order, made ahead of their use.

    On CPUs threads decode: reading and decoding leave the interpreter to others. For a GPU processes do, as its step is
    made of many short calls that would wait for the interpreter; their bytes are read here, so that they hold no index
    and no connection.
    """
    return _by_threads(samples, steps) if device.type == "cpu" else _by_processes(samples, steps)


def _by_threads(samples: TrainingBatches, steps: range) -> Iterator[list[Sample]]:
    def begin(step: int) -> tuple[int, list[Future[Sample | DataError]]]:
        coming = [reading.take(number) for number in samples.numbers(step)]
        return step, [threads.submit(samples.decoder.coming, each) for each in coming]

    def end(step: int, begun: list[Future[Sample | DataError]]) -> list[Sample]:
        return samples.whole(step, [each.result() for each in begun])

    with reading_threads(min(WORKERS, os.cpu_count() or 1)) as threads, closing(samples.read(steps)) as reading:
        yield from starmap(end, begun_ahead((begin(step) for step in steps), BATCHES_AHEAD))


class _Bytes(Sampler[list[RawSample | DataError]]):
    """The bytes of each step's samples, as a loader's processes ask for them."""

    def __init__(self, samples: TrainingBatches, steps: range, reading: BlockReader) -> None:
        self._samples, self._steps, self._reading = samples, steps, reading

    def __iter__(self) -> Iterator[list[RawSample | DataError]]:
        for step in self._steps:
            coming = [self._reading.take(number) for number in self._samples.numbers(step)]
            yield [wait() for wait in coming]


def _by_processes(samples: TrainingBatches, steps: range) -> Iterator[list[Sample]]:
    reading = samples.read(steps)
    loader = DataLoader(
        samples.decoder,
        batch_size=None,
        sampler=_Bytes(samples, steps, reading),
        num_workers=min(WORKERS, os.cpu_count() or 1),
        multiprocessing_context="spawn",
    )
    try:
        for step, found in zip(steps, loader, strict=True):
            yield samples.whole(step, found)
    finally:
        reading.close()
