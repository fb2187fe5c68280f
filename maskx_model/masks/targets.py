"""Mask targets: what each RoI's 28 × 28 logits are trained towards, straight from run lengths.

RoIAlign is separable: a target is Y · M · Xᵀ for a mask M [H, W] of zeros and ones, where Y [28, H] says how much each
of the image's rows weighs in each row of cells, and X [28, W] the same of its columns. M is constant but for its edges,
so the sum over its pixels is one over its edges: of the weight of all pixels before them, in the order of run lengths.
Before row y of column x that is Y(H) · X(x)ᵀ + Y(y) · X[:, x]ᵀ, where Y(y) and X(x) are the weights summed up to there.
A mask of thousands of pixels has hundreds of edges, and no bitmap is ever made.

Polygons need no way of their own: in a dataset they are run lengths already, rasterised once when it was prepared.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_prep.format.records import Rle
from data_prep.format.rle import mask_edges
from maskx_model.masks.targets_cuda import mask_targets_together
from maskx_model.model.mask_branch import MASK_SIZE

EDGES_AT_ONCE = 4096
"""Bounds the memory of a mask with very many edges: 0.9 MB for each RoI and axis."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def mask_targets(masks: Sequence[Rle | None], boxes: Tensor, matched: Tensor) -> Tensor:
    """The part of an object's mask that lies in a RoI, as torchvision's `project_masks_on_boxes` gives it.

    Masks of objects (None where one has none), boxes of RoIs xyxy float32 [R, 4] in the masks' pixels, and for each
    the index of the object it was matched to, int64 [R] → float32 [R, 28, 28] in 0..1: RoIAlign with as many samples in
    a cell as it has pixels; partly covered cells stay fractional. Raises ValueError for a RoI whose object has no mask.
    """
    without = torch.tensor([mask is None for mask in masks], dtype=torch.bool, device=boxes.device)[matched]
    if without.any():
        raise ValueError(f"object {int(matched[without][0])} has no mask to train towards")
    if boxes.device.type != "cpu":
        return mask_targets_together(masks, boxes, matched)
    targets = np.zeros((len(boxes), MASK_SIZE, MASK_SIZE), np.float32)
    rois, objects = boxes.numpy(force=True), matched.numpy(force=True)
    for index in np.unique(objects):
        mask, own = masks[index], objects == index
        assert mask is not None
        targets[own] = _targets(mask, rois[own])
    return torch.from_numpy(targets).to(boxes.device)


def _targets(mask: Rle, boxes: Floats) -> Doubles:
    """One object's mask in its RoIs, xyxy [R, 4] → [R, 28, 28] in 0..1."""
    height, width = mask.size
    top, rows = _weights(boxes[:, 1], boxes[:, 3], height)
    left, columns = _weights(boxes[:, 0], boxes[:, 2], width)
    rows_before, columns_before = _before(rows), _before(columns)
    right = left + columns.shape[1] - 1
    # Of the runs, what lies in the columns that weigh something.
    runs = mask_edges(mask).clip(left * height, right * height).reshape(-1, 2)
    edges = runs[runs[:, 1] > runs[:, 0]].ravel()
    targets = np.zeros((len(boxes), MASK_SIZE, MASK_SIZE))
    for start in range(0, len(edges), EDGES_AT_ONCE):
        column, row = np.divmod(edges[start : start + EDGES_AT_ONCE], height)
        column -= left
        row = (row - top).clip(0, rows.shape[1] - 1)
        sign = np.where(np.arange(len(row)) % 2, 1.0, -1.0)  # before a run's end, but not before its beginning
        targets += rows_before[:, -1, :, None] * (sign @ columns_before.take(column, 1))[:, None]
        signed = rows_before.take(row, 1) * sign[:, None]
        targets += signed.transpose(0, 2, 1) @ columns.take(column, 1)
    return targets.clip(0, 1)


def _before(weights: Doubles) -> Doubles:
    """[R, L + 1, 28] → the weights of all pixels before each, of the same shape."""
    before: Doubles = weights.cumsum(1)
    before -= weights
    return before


def _weights(start: Floats, end: Floats, length: int) -> tuple[int, Doubles]:
    """How much an axis' pixels weigh in each cell of RoIs from `start` to `end` [R]: the first pixel that any RoI
    uses, and the weights from it on, [R, L + 1, 28], the last of them zero.

    Samples stand where torchvision's RoIAlign (not aligned, adaptive) puts them, to the last bit of its single
    precision: more than a pixel past the image they count as nothing, and there a rounding would tell.
    """
    cell = (end - start).clip(1)[:, None, None] / np.float32(MASK_SIZE)
    count = np.ceil(cell)  # samples in a cell
    number = np.arange(count.max(), dtype=np.float32)
    at = start[:, None, None] + np.arange(MASK_SIZE, dtype=np.float32)[:, None] * cell
    at = at + (number + np.float32(0.5)) * cell / count
    seen = (number < count) & (at >= -1) & (at <= length)
    at = at.clip(0, length - 1)
    low = at.astype(np.int64)
    first, last = int(low.min()), min(int(low.max()) + 1, length - 1)
    fraction, above = seen / count.astype(np.float64), at - low
    shape = (len(start), last - first + 2, MASK_SIZE)
    cell_of_first = np.ravel_multi_index((np.arange(len(start))[:, None], 0, np.arange(MASK_SIZE)), shape)[..., None]
    weights = np.zeros(np.prod(shape))
    for pixel, part in ((low, 1 - above), (np.minimum(low + 1, last), above)):
        position = cell_of_first + (pixel - first) * MASK_SIZE
        weights += np.bincount(position.ravel(), (fraction * part).ravel(), len(weights))
    return first, weights.reshape(shape)
