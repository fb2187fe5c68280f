"""Batches of images as a training asks for them: read and decoded ahead where a GPU would wait for them."""

import os
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from data_prep.format.index import IndexRow
from maskx_model.data.samples import Reader, Sample, mirrored

PROCESSES = 4
"""Each decodes some 100 images of COCO's size in a second."""
BLOCK = 16
POOL = 16 * BLOCK


def training_order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The epoch's permutation of 0..count-1: blocks of neighbours in random order, mixed within pools of blocks."""
    generator = np.random.default_rng((seed, epoch))
    starts = generator.permutation(np.arange(0, count, BLOCK))
    order = np.concatenate([np.arange(start, min(start + BLOCK, count)) for start in starts])
    for start in range(0, count, POOL):
        generator.shuffle(order[start : start + POOL])
    return order


class TrainingBatches(TorchDataset[list[Sample]]):
    """Item `step` is that step's batch, whatever was asked for before."""

    def __init__(self, reader: Reader, rows: Sequence[IndexRow], batch_size: int, seed: int, flip: bool) -> None:
        self.reader = reader
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.flip = flip
        self._epoch = -1
        self._order: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def __getitem__(self, step: int) -> list[Sample]:
        return [self._sample(position) for position in range(step * self.batch_size, (step + 1) * self.batch_size)]

    def _sample(self, position: int) -> Sample:
        epoch, place = divmod(position, len(self.rows))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, training_order(len(self.rows), self.seed, epoch)
        sample = self.reader.sample(self.rows[self._order[place]])
        if self.flip and np.random.default_rng((self.seed, position)).random() < 0.5:
            return mirrored(sample)
        return sample


def load_batches(samples: TrainingBatches, steps: range, device: torch.device) -> Iterable[list[Sample]]:
    """The batches of those steps, in order. For a GPU, processes of their own make them ahead; on CPUs, which
    have no core to spare, each is made when it is its turn."""
    processes = 0 if device.type == "cpu" else min(PROCESSES, os.cpu_count() or 1)
    # Forked ones would share the connections to an object store.
    start = "spawn" if processes else None
    return DataLoader(samples, batch_size=None, sampler=steps, num_workers=processes, multiprocessing_context=start)
