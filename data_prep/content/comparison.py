"""Decide on pixels whether a candidate is a copy of a held-out image.

A copy shows one window of the held-out image, all of it inside, and agrees with it in every block. The next frame
of a burst does not: the camera moved, so its window reaches beyond an edge and near things shifted against far ones;
or something in the picture moved, and its blocks differ. The limits lie between what `benchmarks/content.py` measures
for copies (resized, recompressed, cropped) and for neighbors.
"""

import cv2
import numpy as np

from data_prep.content.registration import Window, cut, register, smooth
from data_prep.content.thumbnail import SIDE, WHOLE, Floats, Thumbnail, grid

# How far a copy's window may leave the image's edges: crops are searched to 5 %, and found to a little more.
CROPPED = 0.065
_BEYOND = 0.006

_COARSE = 32
# A line along an image's edge may be half cut off: the outermost pixels are not compared.
_BORDER = 4
_BLOCK = (SIDE - 2 * _BORDER) // 8
_SMOOTHING = 2.0
_LARGEST_DIFFERENCE = 0.25
_LARGEST_COARSE_DIFFERENCE = 0.35
_LEAST_DETAIL_IN_COMMON = 0.95
# What JPEG and resizing may change in a block without any contrast, in gray levels.
_NOISE = 3.0

_DETAIL = 5.0
_TEXTURED = 2.5
_LEAST_TEXTURED_BLOCKS = 4

# Two files of one image correlate above 0.9, two different images hardly ever above this.
_SAME_PICTURE = 0.6
_INSIDE = (0.025, 0.025, 0.025, 0.025)


def has_texture(small: Thumbnail) -> bool:
    """Whether the thumbnail has enough detail to be distinguished from others: some blocks hold more than a gradient
    and noise.

    An image without texture (clear sky, darkness) counts as a copy of another only if their thumbnails are equal.
    """
    textured = _rms(_blocks(_detail(smooth(small))[_BORDER:-_BORDER, _BORDER:-_BORDER])) > _TEXTURED
    return int(textured.sum()) >= _LEAST_TEXTURED_BLOCKS


def is_copy(held_out: Thumbnail, candidate: Thumbnail, start: Window) -> bool:
    """Whether `candidate` is `held_out` resized, recompressed or cropped by up to 5 % of any side.

    `start` is the window of `held_out` at which the search begins. An image without texture is a copy of none.
    """
    coarse_held_out, coarse = smooth(held_out, _COARSE), smooth(candidate, _COARSE)
    window = register(coarse_held_out, coarse, start)
    if window is None or not _inside(window, slack=2 / _COARSE):
        return False
    if _difference(cut(coarse_held_out, window), coarse) > _LARGEST_COARSE_DIFFERENCE:
        return False
    window = register(smooth(held_out), smooth(candidate), window)
    if window is None or not _inside(window):
        return False
    return _agree(cut(held_out.astype(np.float32), window), candidate.astype(np.float32)) and has_texture(held_out)


def same_picture(one: Thumbnail, other: Thumbnail) -> bool:
    """Whether two files of which ids say that they are one image may be: only clear disagreement counts.

    Any two images without texture agree.
    """
    likeness = (grid(a, inside) @ grid(b) for inside in (WHOLE, _INSIDE) for a, b in ((one, other), (other, one)))
    return any(like >= _SAME_PICTURE for like in likeness) or not (has_texture(one) or has_texture(other))


def _inside(window: Window, slack: float = 0.0) -> bool:
    margins = window.margins()
    return min(margins) >= -_BEYOND - slack and max(margins) <= CROPPED + slack


def _agree(window: Floats, candidate: Floats) -> bool:
    inner = slice(_BORDER, -_BORDER)
    window, candidate = (cv2.GaussianBlur(p[inner, inner], (0, 0), _SMOOTHING) for p in (window, candidate))
    first, second = (blocks - blocks.mean(1, keepdims=True) for blocks in map(_blocks, (window, candidate)))
    if (_rms(first - second) / (_rms(first) + _NOISE)).max() > _LARGEST_DIFFERENCE:
        return False
    one, other = _detail(window), _detail(candidate)
    return bool((one * other).sum() >= _LEAST_DETAIL_IN_COMMON * np.sqrt((one**2).sum() * (other**2).sum()))


def _difference(one: Floats, other: Floats) -> float:
    """The contrast of the difference of two thumbnails, as a fraction of the first one's contrast."""
    return float((one - other).std() / (one.std() + _NOISE))


def _detail(picture: Floats) -> Floats:
    """The thumbnail without its low frequencies."""
    detail: Floats = picture - cv2.GaussianBlur(picture, (0, 0), _DETAIL)
    return detail


def _blocks(picture: Floats) -> Floats:
    """float32[8 blocks, 8 blocks] → float32[blocks, pixels of a block]."""
    return picture.reshape(8, _BLOCK, 8, _BLOCK).swapaxes(1, 2).reshape(-1, _BLOCK * _BLOCK)


def _rms(blocks: Floats) -> Floats:
    root: Floats = np.sqrt((blocks**2).mean(1))
    return root
