"""Compressed COCO run lengths without a bitmap: where a mask begins and ends, and back.

Run lengths go down the columns: the flat position of row y in column x is x · height + y. A mask is its edges: the flat
positions at which it begins (at even places) and ends (at odd ones), rising.
"""

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from data_prep.format.records import Rle

Edges = npt.NDArray[np.int64]

_FIRST, _MORE, _NEGATIVE, _BITS = 48, 32, 16, 5


def mask_edges(mask: Rle) -> Edges:
    """Where the mask begins and ends, int64 [2 N] in 0..height · width, for its N runs of ones; none is empty."""
    edges = np.cumsum(_counts(mask.counts))
    edges = edges[: len(edges) // 2 * 2].reshape(-1, 2)  # a last run of zeros begins nothing
    return edges[edges[:, 1] > edges[:, 0]].ravel()


def _counts(text: str) -> npt.NDArray[np.int64]:
    """The run lengths in COCO's string: five bits a character, lowest first, a sixth where more follow; from the
    fourth on each is relative to the one two before it."""
    code = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - _FIRST
    last = np.flatnonzero(code < _MORE)
    first = np.concatenate([[0], last[:-1] + 1])
    shift = _BITS * (np.arange(len(code)) - np.repeat(first, last - first + 1))
    values = np.add.reduceat((code & (_MORE - 1)) << shift, first)
    values -= np.where(code[last] & _NEGATIVE, 1 << (shift[last] + _BITS), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def encode_edges(edges: Edges, size: tuple[int, int]) -> Rle:
    """The mask of those edges over an image of `size` (height, width), as pycocotools encodes its bitmap. Runs may
    touch: a run that goes on from a column's last pixel to the next column's first is one run."""
    height, width = size
    touching = np.flatnonzero(edges[1:-1:2] == edges[2::2])
    edges = np.delete(edges, np.concatenate([2 * touching + 1, 2 * touching + 2]))
    counts = np.diff(edges, prepend=0, append=height * width).tolist()
    if len(edges) and edges[-1] == height * width:
        counts.pop()  # pycocotools writes no last run of nothing
    compressed = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return Rle(size=size, counts=compressed["counts"].decode("ascii"))


def mirrored_mask(mask: Rle) -> Rle:
    """The mask with its columns in reverse order."""
    height, width = mask.size
    begin, end = mask_edges(mask).reshape(-1, 2).T
    columns = (end - 1) // height - begin // height + 1
    part = np.arange(columns.sum()) - np.repeat(np.cumsum(columns) - columns, columns)
    column = np.repeat(begin // height, columns) + part
    top = np.maximum(np.repeat(begin, columns) - column * height, 0)
    bottom = np.minimum(np.repeat(end, columns) - column * height, height)
    parts = (width - 1 - column)[:, None] * height + np.stack([top, bottom], axis=1)
    return encode_edges(parts[parts[:, 0].argsort()].ravel(), mask.size)
