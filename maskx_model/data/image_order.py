"""Which image has which place in which batch: steps take turns between groups of images of one shape."""

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from data_prep.format.rows import Rows
from maskx_model.data.image_stream import ImageStream
from maskx_model.data.repeat_factors import repeat_factors
from maskx_model.data.training_order import POOL


class Place(NamedTuple):
    """A place in the endless sequence of a group's images."""

    group: int
    number: int


class ImageOrder:
    """The images of every batch: a function of the seed and the step, whatever came before.

    A sample's number is step · batch size + its position in the batch. A batch holds images of one group, the next ones
    in that group's order; each group has epochs of its own, in which each of its images comes once. Two groups divide
    the steps in proportion to their sizes, evenly spread.
    """

    def __init__(self, streams: Sequence[ImageStream], batch_size: int) -> None:
        self.streams, self.batch_size = streams, batch_size
        self._first, self._all = len(streams[0]), sum(map(len, streams))

    def place(self, number: int) -> Place:
        """The place of the sample with this number."""
        step, slot = divmod(number, self.batch_size)
        before = self._batches(0, step)
        group = 0 if self._batches(0, step + 1) > before else 1
        return Place(group, (step - before if group else before) * self.batch_size + slot)

    def image(self, place: Place) -> int:
        """The position, among the rows, of the image at this place."""
        return self.streams[place.group].image(place.number)

    def _number(self, place: Place) -> int:
        """The sample at this place: the inverse of `place`."""
        batch, slot = divmod(place.number, self.batch_size)
        if place.group == 0:
            step = -(-(batch + 1) * self._all // self._first) - 1
        else:
            step = batch * self._all // (self._all - self._first)
        return step * self.batch_size + slot

    def _batches(self, group: int, step: int) -> int:
        """How many of the steps before this one are the group's."""
        of_first = step * self._first // self._all
        return step - of_first if group else of_first

    def pools(self, steps: range, own: range) -> Iterator[list[int]]:
        """The samples of those steps whose places in the batch are in `own`: their numbers, a list for each pool of
        blocks, in the order in which pools are first needed."""
        return heapq.merge(*(self._pools(group, steps, own) for group in range(len(self.streams))))

    def _pools(self, group: int, steps: range, own: range) -> Iterator[list[int]]:
        start, stop = (self._batches(group, step) * self.batch_size for step in (steps.start, steps.stop))
        length = len(self.streams[group])
        while start < stop:
            place = start % length
            end = min(stop, start - place + min((place // POOL + 1) * POOL, length))
            numbers = [self._number(Place(group, each)) for each in range(start, end) if each % self.batch_size in own]
            if numbers:
                yield numbers
            start = end


def image_order(
    rows: Rows, source: str, names: frozenset[str], batch_size: int, seed: int, by_shape: bool, threshold: float
) -> ImageOrder:
    """The order of those rows. `by_shape`: images wider than high, and the others, are groups of their own.
    `threshold`: of repeat-factor sampling by the source's classes of these names; 0 repeats none."""
    factors = repeat_factors(rows, source, names, threshold) if threshold else None
    every = np.arange(len(rows))
    if not by_shape:
        return ImageOrder([ImageStream(every, seed, factors)], batch_size)
    wide = rows.numbers("width") > rows.numbers("height")
    groups = [every[chosen] for chosen in (wide, ~wide) if chosen.any()]
    streams = [
        ImageStream(images, seed, None if factors is None else factors[images], group)
        for group, images in enumerate(groups)
    ]
    return ImageOrder(streams, batch_size)
