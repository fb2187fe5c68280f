"""The one codec for masks: compressed COCO run lengths, from and to bitmaps, polygons, run lengths and edges.

Run lengths go down the columns: the flat position of row y in column x is x · height + y. A mask is its edges: the flat
positions at which it begins (at even places) and ends (at odd ones), rising. pycocotools does all work on polygons,
bitmaps and strings that are written; reading a string and mirroring need no bitmap.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from data_prep.format.records import Rle

Edges = npt.NDArray[np.int64]
Size = tuple[int, int]

_FIRST, _MORE, _NEGATIVE, _BITS = 48, 32, 16, 5

# Characters with more to follow are P … o, last ones 0 … O. No image has a length that takes more than seven.
_TEXT = re.compile(r"(?:[P-o]{0,6}+[0-O])++")


def coco_object(mask: Rle) -> dict[str, Any]:
    """The mask as pycocotools takes it and as COCO's files hold it: `size` [height, width] and `counts`, a string."""
    return {"size": list(mask.size), "counts": mask.counts}


def encode_bitmap(bitmap: npt.NDArray[np.bool_]) -> Rle:
    """The mask of a bitmap, bool or uint8 [H, W]."""
    height, width = bitmap.shape
    return _rle(coco_mask.encode(np.asfortranarray(bitmap, np.uint8)), (height, width))


def decode_mask(mask: Rle) -> npt.NDArray[np.bool_]:
    """The mask's bitmap, bool [H, W]."""
    decoded: npt.NDArray[np.uint8] = coco_mask.decode(coco_object(mask))
    return decoded.astype(np.bool_)


def mask_area(mask: Rle) -> float:
    """Square pixels of the mask."""
    return float(coco_mask.area(coco_object(mask)))


def mask_box(mask: Rle) -> tuple[float, float, float, float]:
    """The smallest box around the mask, (x, y, width, height) in pixels; four zeros for an empty mask."""
    x, y, width, height = coco_mask.toBbox(coco_object(mask)).tolist()
    return x, y, width, height


def encode_polygons(polygons: list[list[float]], size: Size) -> Rle:
    """The union of polygons (x, y, x, y, …, three points or more each, in pixels) over an image of `size` (height,
    width)."""
    outlines = coco_mask.frPyObjects(polygons, *size)
    return _rle(outlines[0] if len(outlines) == 1 else coco_mask.merge(outlines), size)


def encode_run_lengths(lengths: Sequence[int], size: Size) -> Rle:
    """The mask of run lengths of zeros and ones in turn, zeros first, over an image of `size` (height, width).

    Raises ValueError unless their sum is the number of pixels and none is negative.
    """
    _check_lengths(lengths, size)
    return _rle(coco_mask.frPyObjects({"size": list(size), "counts": lengths}, *size), size)


def check_mask(mask: Rle) -> None:
    """Raise ValueError if the mask's string is malformed, or its run lengths are not those of an image of its size.

    Everything else in this module relies on masks that pass, as those in a dataset do.
    """
    if not _TEXT.fullmatch(mask.counts):
        raise ValueError("run lengths with a character that does not belong there, or that stop in the middle")
    _check_lengths(run_lengths(mask), mask.size)


def run_lengths(mask: Rle) -> npt.NDArray[np.int64]:
    """The lengths of the runs of zeros and ones in turn, zeros first, int64 [N].

    In COCO's string a number has five bits a character, lowest first, and a sixth where more follow; from the fourth on
    each is relative to the one two before it.
    """
    code = np.frombuffer(mask.counts.encode("ascii"), np.uint8).astype(np.int64) - _FIRST
    last = np.flatnonzero(code < _MORE)
    first = np.concatenate([[0], last[:-1] + 1])
    shift = _BITS * (np.arange(len(code)) - np.repeat(first, last - first + 1))
    values = np.add.reduceat((code & (_MORE - 1)) << shift, first)
    values -= np.where(code[last] & _NEGATIVE, 1 << (shift[last] + _BITS), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def mask_edges(mask: Rle) -> Edges:
    """Where the mask begins and ends, int64 [2 N] in 0..height · width, for its N runs of ones; none is empty."""
    edges = np.cumsum(run_lengths(mask))
    edges = edges[: len(edges) // 2 * 2].reshape(-1, 2)  # a last run of zeros begins nothing
    return edges[edges[:, 1] > edges[:, 0]].ravel()


def encode_edges(edges: Edges, size: Size) -> Rle:
    """The mask of edges as `mask_edges` gives them over an image of `size` (height, width), as `encode_bitmap` encodes
    its bitmap. Runs may touch: a run that goes on from a column's last pixel to the next column's first is one run."""
    height, width = size
    touching = np.flatnonzero(edges[1:-1:2] == edges[2::2])
    edges = np.delete(edges, np.concatenate([2 * touching + 1, 2 * touching + 2]))
    lengths = np.diff(edges, prepend=0, append=height * width).tolist()
    if len(edges) and edges[-1] == height * width:
        lengths.pop()  # pycocotools writes no last run of nothing
    return _rle(coco_mask.frPyObjects({"size": [height, width], "counts": lengths}, height, width), size)


def mirror_mask(mask: Rle) -> Rle:
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


def _rle(compressed: dict[str, Any], size: Size) -> Rle:
    """A mask as pycocotools returns it, its string as bytes."""
    return Rle(size, compressed["counts"].decode("ascii"))


def _check_lengths(lengths: Sequence[int] | npt.NDArray[np.int64], size: Size) -> None:
    pixels = size[0] * size[1]
    given = np.asarray(lengths)
    # Each length is compared first: the sum of unbounded ones could overflow and come out right.
    if not len(given) or given.min() < 0 or given.max() > pixels or int(given.sum()) != pixels:
        raise ValueError(f"run lengths do not add up to {pixels} pixels")
