"""Batches of images as a training requests them: read and decoded ahead where a GPU would wait for them.

A step's batch is a pure function of the run's seed and the step: it is found at once, by any process.
"""

import os
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from data_prep.format.index import IndexRow
from data_prep.storage.errors import ConfigError
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample, mirrored
from maskx_model.data.seeds import numbered_generator
from maskx_model.data.training_order import training_order

PROCESSES = 4
"""Each decodes some 100 images of COCO's size in a second."""


class TrainingBatches(TorchDataset[list[Sample]]):
    """Item `step` is that step's batch, whatever was requested before.

    Every epoch contains each row's image once. With `flip` half of the samples, drawn at random, are mirrored. Rank
    `rank` of `ranks` has its slice of each batch: images and flips are the same for any number of ranks. Raises
    ConfigError where the ranks do not divide `batch_size`.
    """

    def __init__(
        self,
        reader: SampleReader,
        rows: Sequence[IndexRow],
        batch_size: int,
        seed: int,
        flip: bool,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if batch_size % ranks:
            below = batch_size // ranks * ranks
            fitting = f"{below} or {below + ranks}" if below else str(ranks)
            raise ConfigError(
                f"images_per_batch: {ranks} ranks cannot share {batch_size} images evenly; {fitting} would fit "
                f"(any multiple of {ranks})"
            )
        self.reader = reader
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.flip = flip
        self.own = range(rank * batch_size // ranks, (rank + 1) * batch_size // ranks)
        self._epoch = -1
        self._order: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def __getitem__(self, step: int) -> list[Sample]:
        return [self._sample(step * self.batch_size + position) for position in self.own]

    def _sample(self, number: int) -> Sample:
        """The sample of that number in the endless sequence of epochs."""
        epoch, position = divmod(number, len(self.rows))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, training_order(len(self.rows), self.seed, epoch)
        sample = self.reader.sample(self.rows[self._order[position]])
        if self.flip and numbered_generator(self.seed, number).random() < 0.5:
            return mirrored(sample)
        return sample


def load_batches(samples: TrainingBatches, steps: range, device: torch.device) -> Iterable[list[Sample]]:
    """The batches of those steps, in order. For a GPU, worker processes make them ahead; on CPUs, which have no core to
    spare, each is made when it is its turn."""
    processes = 0 if device.type == "cpu" else min(PROCESSES, os.cpu_count() or 1)
    # Forked ones would share the connections to an object store.
    start = "spawn" if processes else None
    return DataLoader(samples, batch_size=None, sampler=steps, num_workers=processes, multiprocessing_context=start)
