"""The small grey picture by which images are compared, and the coarse grids by which candidates are found."""

import hashlib
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 128
CELLS = 8

# Left, top, right and bottom of a window of a picture: how far it lies inside, as shares of the picture's sides.
Margins = tuple[float, float, float, float]
WHOLE: Margins = (0.0, 0.0, 0.0, 0.0)

# A grid of less contrast than this is noise: its norm is kept from falling below it, in grey levels a cell.
_FLAT = 1.0

# Pictures are tiny here, and workers are processes: threads would only get in each other's way.
cv2.setNumThreads(1)

Thumbnail = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def thumbnail(grey: npt.NDArray[np.uint8]) -> Thumbnail:
    """Luminance uint8[height, width] → uint8[SIDE, SIDE], squeezed to a square whatever the aspect ratio is."""
    small: Thumbnail = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small


def digest(small: Thumbnail) -> bytes:
    """16 bytes that tell exactly this thumbnail from all others."""
    return hashlib.sha256(small.tobytes()).digest()[:16]


def grid(small: Thumbnail, margins: Margins = WHOLE, cells: int = CELLS) -> Floats:
    """The contrast of a window of the thumbnail on a coarse grid, float32[cells * cells] of unit length.

    Two grids' product is their correlation; a flat picture's grid is shorter, and correlates with nothing.
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
