"""The pixels of `pasting.py` for many masks at once, for GPUs: bitmaps of the image, some at a time, of which only the
edges leave the GPU."""

import numpy as np
import torch
from torch import Tensor

from data_prep.format.records import Rle
from data_prep.format.rle import encode_edges

PIXELS_AT_ONCE = 2**25
"""Bounds the memory: 128 MB for each of a few maps in float32."""


def paste_together(padded: Tensor, frames: Tensor, size: tuple[int, int], threshold: float) -> list[Rle]:
    """Masks padded by a pixel, float32 [N, 30, 30], into padded boxes, whole pixels xyxy int64 [N, 4], of an image of
    `size` (height, width): where the resampled mask is above the threshold."""
    height, width = size
    at_once = max(1, PIXELS_AT_ONCE // (height * width))
    parts = zip(padded.split(at_once), frames.split(at_once), strict=True)
    return [rle for part, boxes in parts for rle in _encode(_resample(part, boxes, size) > threshold, size)]


def _resample(masks: Tensor, frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, as torch's `interpolate` without aligned corners → [N, width, height], zero outside the box."""
    height, width = size
    rows = _resampled_rows(masks, frames[:, 1], frames[:, 3], height)
    return _resampled_rows(rows.transpose(1, 2), frames[:, 0], frames[:, 2], width)


def _resampled_rows(maps: Tensor, first: Tensor, last: Tensor, length: int) -> Tensor:
    """Maps [N, M, C] whose M rows become the pixels `first` to `last` [N] of `length` → [N, length, C]."""
    count = maps.shape[1]
    pixel = torch.arange(length, device=maps.device) - first[:, None]
    extent = (last - first + 1).clamp(min=1)[:, None]
    at = ((pixel + 0.5) * (count / extent.float()) - 0.5).clamp(min=0)
    low = at.long().clamp(max=count - 1)
    fraction = (at - low)[:, :, None]
    inside = ((pixel >= 0) & (pixel < extent))[:, :, None]
    each = torch.arange(len(maps), device=maps.device)[:, None]
    mixed = maps[each, low] * (1 - fraction) + maps[each, (low + 1).clamp(max=count - 1)] * fraction
    return mixed * inside


def _encode(bitmaps: Tensor, size: tuple[int, int]) -> list[Rle]:
    """Bitmaps bool [N, width, height] → as pycocotools encodes them."""
    flat = bitmaps.flatten(1)
    before = torch.nn.functional.pad(flat, (1, 0))[:, :-1]
    mask, edge = (flat != before).nonzero(as_tuple=True)
    ends = mask.bincount(minlength=len(bitmaps)).cumsum(0).tolist()
    # A mask that reaches the image's last pixel has no last edge: its last run ends with the image.
    return [encode_edges(each, size) for each in np.split(edge.cpu().numpy(), ends[:-1])]
