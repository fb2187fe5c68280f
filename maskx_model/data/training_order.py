"""The order in which a training reads a dataset: at random, but from neighboring images of a shard."""

import numpy as np
import numpy.typing as npt

from maskx_model.data.seeds import numbered_generator

BLOCK = 16
"""Neighboring images that are read together: a disk or an object store sees sequential reads."""
POOL = 16 * BLOCK
"""Images within which the order is random."""


def training_order(count: int, seed: int, epoch: int, *stream: int) -> npt.NDArray[np.int64]:
    """The epoch's permutation of 0..count-1: blocks of neighbors in random order, mixed within pools of blocks.

    `stream`: numbers above 0 that make another order of the same seed and epoch.
    """
    generator = numbered_generator(seed, epoch, *stream)
    starts = generator.permutation(np.arange(0, count, BLOCK))
    order = np.concatenate([np.arange(start, min(start + BLOCK, count)) for start in starts])
    for start in range(0, count, POOL):
        generator.shuffle(order[start : start + POOL])
    return order
