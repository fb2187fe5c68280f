"""An endless sequence of images: epoch after epoch, each in an order of its own."""

import math

import numpy as np
import numpy.typing as npt

from maskx_model.data.seeds import numbered_generator
from maskx_model.data.training_order import training_order

Positions = npt.NDArray[np.int64]
_REPEATS = 1
"""Tells what is drawn for repeats from what is drawn for the order."""


class ImageStream:
    """Positions of images, by their number in the sequence: a function of the seed and the number, found at once.

    Every epoch has as many numbers, `len()`. `images`: the positions, int64 [N], in the order of the shards.
    `factors`, float [N] from 1 up: how often each comes in an epoch on average, once at least, and never more than one
    time more or less; then an epoch is the sum of them, rounded up. `group`: None, or the number of this stream among
    several.
    """

    def __init__(
        self, images: Positions, seed: int, factors: npt.NDArray[np.float64] | None = None, group: int | None = None
    ) -> None:
        self._images, self._seed = images, seed
        self._stream = () if group is None else (group + 1,)
        self._length = len(images) if factors is None else math.ceil(factors.sum() - 1e-6)
        self._ends: npt.NDArray[np.float64] | None = None
        if factors is not None:
            self._ends = np.cumsum(factors) * (self._length / factors.sum())
            self._ends[-1] = self._length
        self._epochs: dict[int, Positions] = {}

    def __len__(self) -> int:
        return self._length

    def image(self, number: int) -> int:
        """The position of the image with that number."""
        epoch, place = divmod(number, self._length)
        return int(self._epoch(epoch)[place])

    def _epoch(self, epoch: int) -> Positions:
        """The epoch's images in order. Two epochs are held: reading ahead crosses from one to the next."""
        if epoch not in self._epochs:
            listed = self._images if self._ends is None else self._repeated(self._ends, epoch)
            order = listed[training_order(self._length, self._seed, epoch, *self._stream)]
            self._epochs = {**dict(list(self._epochs.items())[-1:]), epoch: order}
        return self._epochs[epoch]

    def _repeated(self, ends: npt.NDArray[np.float64], epoch: int) -> Positions:
        """All images once, then those that come a second time, and so on: copies of one are seldom neighbors.

        One random number rounds all factors (systematic sampling), so that they add up to the same in every epoch.
        """
        group = self._stream or (0,)
        offset = numbered_generator(self._seed, epoch, *group, _REPEATS).random()
        counts = np.diff(np.floor(ends + offset), prepend=0).astype(np.int64)
        return np.concatenate([self._images[counts > times] for times in range(counts.max())])
