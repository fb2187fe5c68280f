"""A sample seen through a window, and at another size: what boxes and masks become."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms.v2 import functional

from data_prep.format.records import Rle
from data_prep.format.rle import decode_mask, encode_bitmap
from maskx_model.data.samples import Sample

EDGE = (124.0, 116.0, 104.0)
"""The color around an image: ImageNet's mean, which is 0 in the network's input."""
LEAST_SIDE = 1.0
"""Pixels of an object's box that must be left in both directions."""


class Window(NamedTuple):
    """A part of an image, in its pixels; it may reach beyond the image on all sides."""

    left: float
    top: float
    width: float
    height: float

    def scaled(self, across: float, down: float) -> "Window":
        """The same part of the image at another size."""
        return Window(self.left * across, self.top * down, self.width * across, self.height * down)


def random_window(generator: np.random.Generator, jitter: float, width: int, height: int) -> Window:
    """What is shown of an image at 1 / (1 + jitter) to 1 + jitter times its size (large-scale jitter, Ghiasi et al.
    2021): a part of it anywhere, or all of it anywhere in a greater picture of its shape."""
    factor = math.exp(generator.uniform(-1, 1) * math.log1p(jitter))
    inside = Window(0, 0, width / factor, height / factor)
    return inside._replace(
        left=generator.random() * (width - inside.width), top=generator.random() * (height - inside.height)
    )


def through(sample: Sample, window: Window) -> Sample:
    """What is seen of the sample through the window, whole pixels of it.

    Boxes are clipped; objects of which less than a pixel is left go, and so do masks without a pixel.
    """
    left, top = round(window.left), round(window.top)
    width, height = max(1, round(window.width)), max(1, round(window.height))
    size = torch.tensor([width, height] * 2, dtype=torch.float32)
    moved = sample.boxes - torch.tensor([left, top] * 2, dtype=torch.float32)
    boxes = torch.minimum(moved.clamp(min=0), size)
    stays = (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all(1)
    kept = stays.nonzero()[:, 0].tolist()
    pixels = torch.from_numpy(sample.image).permute(2, 0, 1)
    image = _cut(pixels, left, top, width, height, list(EDGE)).permute(1, 2, 0)

    def seen(mask: Rle | None) -> Rle | None:
        if mask is None:
            return None
        bitmap = torch.from_numpy(decode_mask(mask))[None]
        return _unless_empty(_cut(bitmap, left, top, width, height, [0.0])[0].numpy())

    return replace(
        sample,
        image=np.ascontiguousarray(image.numpy()),
        boxes=boxes[stays],
        labels=sample.labels[stays],
        masks=tuple(seen(sample.masks[position]) for position in kept),
        mask_weights=sample.mask_weights and tuple(sample.mask_weights[position] for position in kept),
    )


def _cut(pixels: torch.Tensor, left: int, top: int, width: int, height: int, edge: list[float]) -> torch.Tensor:
    """[C, height, width] of the pixels, [C, H, W], with an edge where they end."""
    rows, columns = pixels.shape[1:]
    over = [max(-left, 0), max(-top, 0), max(left + width - columns, 0), max(top + height - rows, 0)]
    padded = functional.pad_image(pixels, over, fill=edge)
    cut: torch.Tensor = functional.crop_image(padded, top + over[1], left + over[0], height, width)
    return cut


def with_masks_of_image(sample: Sample) -> Sample:
    """The sample with masks at its image's size (the nearest pixel's), where they were at another."""
    height, width = sample.image.shape[:2]

    def scaled(mask: Rle | None) -> Rle | None:
        if mask is None or mask.size == (height, width):
            return mask
        rows, columns = (
            np.floor((np.arange(now) + 0.5) * before / now).astype(np.int64)
            for now, before in zip((height, width), mask.size, strict=True)
        )
        return _unless_empty(decode_mask(mask)[np.ix_(rows, columns)])

    return replace(sample, masks=tuple(map(scaled, sample.masks)))


def _unless_empty(bitmap: npt.NDArray[np.bool_]) -> Rle | None:
    return encode_bitmap(bitmap) if bitmap.any() else None
