"""The thumbnail by which images are compared, and the coarse grids by which candidates are searched."""

import hashlib
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 128
CELLS = 8

# Left, top, right and bottom of a window: its distances from the image's edges, as fractions of the image's sides.
Margins = tuple[float, float, float, float]
WHOLE: Margins = (0.0, 0.0, 0.0, 0.0)

# A grid of less contrast than this is noise: its norm is kept from falling below it, in gray levels a cell.
_FLAT = 1.0

# Images are tiny here, and workers are processes: threads would only slow each other down.
cv2.setNumThreads(1)

Thumbnail = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def thumbnail(grey: npt.NDArray[np.uint8]) -> Thumbnail:
    """Scale luminance uint8[height, width] to uint8[SIDE, SIDE], a square whatever the aspect ratio is."""
    small: Thumbnail = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small


def digest(small: Thumbnail) -> bytes:
    """A hash of 16 bytes that only equal thumbnails share."""
    return hashlib.sha256(small.tobytes()).digest()[:16]


def grid(small: Thumbnail, margins: Margins = WHOLE, cells: int = CELLS) -> Floats:
    """Compute the contrast of a window of the thumbnail on a coarse grid, float32[cells * cells] of unit length.

    The product of two grids is their correlation; the grid of a flat image is shorter and correlates with nothing.
    """
    left, top, right, bottom = margins
    window = _averages(top, bottom, cells) @ small.astype(np.float32) @ _averages(left, right, cells).T
    contrast = window.reshape(-1) - window.mean()
    unit: Floats = contrast / np.sqrt((contrast**2).sum() + len(contrast) * _FLAT**2)
    return unit


@cache
def _averages(first: float, last: float, cells: int) -> Floats:
    """The matrix that averages a line of SIDE pixels over cells between two margins, float32[cells, SIDE]."""
    bounds = np.linspace(first * SIDE, (1 - last) * SIDE, cells + 1)
    pixels = np.arange(SIDE)
    covered = np.minimum(bounds[1:, None], pixels + 1) - np.maximum(bounds[:-1, None], pixels)
    return (covered.clip(0) / np.diff(bounds)[:, None]).astype(np.float32)
