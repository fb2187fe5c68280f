"""Mask targets of many RoIs at once: the sums of `targets.py` without a loop over objects, for GPUs.

Every object's edges are filled up to as many as the longest list has, with pairs that cancel out. On CPUs, where
work counts and not the number of steps, that is several times slower than object by object.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data_prep.format.records import Rle
from data_prep.format.rle import mask_edges
from maskx_model.model.mask_branch import MASK_SIZE

VALUES_AT_ONCE = 2**20
"""RoIs times pixels along a side, or times edges: bounds the memory of each of a few maps to 235 MB."""


def mask_targets_together(masks: Sequence[Rle | None], boxes: Tensor, matched: Tensor) -> Tensor:
    """As `mask_targets`, on the boxes' device. Every RoI's object must have a mask."""
    if len(boxes) == 0:
        return boxes.new_zeros(0, MASK_SIZE, MASK_SIZE)
    sizes = [mask.size if mask is not None else (1, 1) for mask in masks]
    edges = _padded_edges(masks).to(boxes.device)
    at_once = max(1, VALUES_AT_ONCE // max(map(max, sizes)))
    parts = zip(
        boxes.split(at_once),
        edges[matched].split(at_once),
        torch.tensor(sizes, device=boxes.device)[matched].split(at_once),
        strict=True,
    )
    return torch.cat([_targets(*part) for part in parts])


def _targets(boxes: Tensor, edges_of_all: Tensor, sizes: Tensor) -> Tensor:
    """RoIs xyxy [R, 4], the edges int64 [R, E] of each one's mask and its (height, width), int64 [R, 2] →
    [R, 28, 28]."""
    height, width = sizes[:, :, None].unbind(1)
    top, rows = _weights(boxes[:, 1], boxes[:, 3], height)
    left, columns = _weights(boxes[:, 0], boxes[:, 2], width)
    rows_before, columns_before = rows.cumsum(2) - rows, columns.cumsum(2) - columns
    targets = rows.new_zeros(len(boxes), MASK_SIZE, MASK_SIZE)
    pairs_at_once = max(1, VALUES_AT_ONCE // (2 * len(boxes)))
    for edges in edges_of_all.split(2 * pairs_at_once, dim=1):
        column = edges.div(height, rounding_mode="floor")
        row = edges - column * height
        sign = torch.ones_like(edges[0], dtype=rows.dtype)
        sign[::2] = -1  # before a run's end, but not before its beginning
        x = (column - left[:, None]).clamp(0, columns.shape[2] - 1)
        y = (row - top[:, None]).clamp(0, rows.shape[2] - 1)
        targets += rows_before[:, :, -1:] * (_at(columns_before, x) @ sign)[:, None]
        targets += (_at(rows_before, y) * sign) @ _at(columns, x).transpose(1, 2)
    return targets.clamp(0, 1).float()


def _padded_edges(masks: Sequence[Rle | None]) -> Tensor:
    """int64 [O, E]: each mask's edges, then zeros."""
    edges = [mask_edges(mask) if mask is not None else np.empty(0, np.int64) for mask in masks]
    padded = np.zeros((len(edges), max(map(len, edges), default=0)), np.int64)
    for row, own in zip(padded, edges, strict=True):
        row[: len(own)] = own
    return torch.from_numpy(padded)


def _at(values: Tensor, position: Tensor) -> Tensor:
    """Values [R, 28, L] and places int64 [R, E] → [R, 28, E]."""
    return values.gather(2, position[:, None].expand(-1, MASK_SIZE, -1))


def _weights(start: Tensor, end: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """How much an axis' pixels, `length` int64 [R, 1], weigh in each cell of RoIs from `start` to `end` [R]: for each
    RoI the pixel before the first that it uses, int64 [R], and the weights from it on, float64 [R, 28, L]; the
    first and last are zero.

    The samples stand where those of `targets.py` do.
    """
    last = length[:, None] - 1
    cell = (end - start).clamp(min=1)[:, None, None] / MASK_SIZE
    count = cell.ceil()  # samples in a cell
    number = torch.arange(int(count.max()), device=start.device)
    at = start[:, None, None] + torch.arange(MASK_SIZE, device=start.device)[:, None] * cell
    at = at + (number + 0.5) * cell / count
    seen = (number < count) & (at >= -1) & (at <= last + 1)
    at = at.clamp(min=0).minimum(last)
    low = at.long()
    before_first = low.amin((1, 2)) - 1
    fraction, above = seen / count.double(), at.double() - low
    position = low - before_first[:, None, None]
    following = position + (low < last)
    weights = fraction.new_zeros(len(start), MASK_SIZE, int(following.max()) + 2)
    weights.scatter_add_(2, position, fraction * (1 - above)).scatter_add_(2, following, fraction * above)
    return before_first, weights
