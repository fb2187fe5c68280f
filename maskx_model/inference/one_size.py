"""Batches of images of one size: none is padded, so that none depends on its neighbors."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""An image, uint8 RGB [H, W, 3]."""
Image = TypeVar("Image")

_WAITING = 4
"""Batches' worth of images that wait in memory for more of their size."""


def batches_of_one_size(images: Iterable[tuple[Image, Pixels]], batch: int) -> Iterator[list[tuple[Image, Pixels]]]:
    """Every image with its pixels once, at most `batch` of one size at a time."""
    waiting: dict[tuple[int, ...], list[tuple[Image, Pixels]]] = {}
    for image, pixels in images:
        same = waiting.setdefault(pixels.shape, [])
        same.append((image, pixels))
        if len(same) == batch:
            yield waiting.pop(pixels.shape)
        elif sum(map(len, waiting.values())) > _WAITING * batch:
            yield waiting.pop(max(waiting, key=lambda shape: len(waiting[shape])))
    yield from waiting.values()
