"""Describe held-out images, and search them for the one that a candidate is a copy of.

Thousands of them are looked through in a fraction of the time that decoding the candidate takes: a matrix product with
a coarse grid of each leaves a few per cent, the grids of sixteen windows of those leave about one, and that one is
decided on pixels.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from data_prep.content.comparison import has_texture, is_copy
from data_prep.content.registration import Window
from data_prep.content.thumbnail import CELLS, SIDE, WHOLE, Floats, Margins, Thumbnail, digest, grid, thumbnail

# Any crop by up to 5 % lies within 2.5 % of the first window on each side, within 1.25 % of one of the others.
_MIDDLE: Margins = (0.025, 0.025, 0.025, 0.025)
_WINDOWS: list[Margins] = [(a, b, c, d) for a, b, c, d in itertools.product((0.0125, 0.0375), repeat=4)]
_FINE = 16

# The least correlation of grids; copies were not seen below 0.66, 0.88 and 0.84 (`benchmarks/content.py`).
_LEAST_MIDDLE = 0.63
_LEAST_WINDOW = 0.87
_LEAST_FINE = 0.82

PICTURE = np.dtype(
    [
        ("photograph", "<i4"),
        ("textured", "?"),
        ("digest", "u1", 16),
        ("middle", "<f4", CELLS * CELLS),
        ("windows", "<f4", (len(_WINDOWS), CELLS * CELLS)),
        ("thumbnail", "u1", (SIDE, SIDE)),
    ]
)

# Decode no smaller than this (`decode_luminance`): thumbnails are averages of pixels, never enlarged without need.
LEAST_SIDE = SIDE

Grey = npt.NDArray[np.uint8]
Pictures = npt.NDArray[np.void]


def describe(number: int, grey: Grey) -> Pictures:
    """Describe a held-out image, PICTURE[1].

    `grey`: its luminance, uint8[height, width]; `number`: the caller's number for it (the field `photograph`).
    """
    row = np.zeros(1, PICTURE)
    small = thumbnail(grey)
    row["photograph"] = number
    row["textured"] = has_texture(small)
    row["digest"] = np.frombuffer(digest(small), np.uint8)
    row["middle"] = grid(small, _MIDDLE)
    row["windows"] = [grid(small, window) for window in _WINDOWS]
    row["thumbnail"] = small
    return row


class HeldOutPictures:
    """Held-out images to search: blocks of PICTURE rows (which may be mapped files), and the key of each row."""

    def __init__(self, blocks: Sequence[Pictures], keys: Sequence[str]) -> None:
        self._keys = keys
        self._rows = [(block, row) for block in blocks for row in range(len(block))]
        rows = [np.zeros(0, PICTURE), *blocks]
        self._middles: Floats = np.concatenate([block["middle"] * block["textured"][:, None] for block in rows])
        self._windows: Floats = np.concatenate([block["windows"] for block in rows])
        self._digests: dict[bytes, int] = {}
        for number, (block, row) in enumerate(self._rows):
            self._digests.setdefault(block["digest"][row].tobytes(), number)

    def __len__(self) -> int:
        return len(self._rows)

    def copied_by(self, grey: Grey) -> str | None:
        """Find the key of the held-out image of which this luminance, uint8[height, width], is a copy, or None.

        Images without texture are copies only if their thumbnails are equal in every pixel.
        """
        if not len(self):
            return None
        small = thumbnail(grey)
        equal = self._digests.get(digest(small))
        if equal is not None:
            return self._keys[equal]
        for number, window in self._candidates(small):
            block, row = self._rows[number]
            if is_copy(block["thumbnail"][row], small, Window.within(window)):
                return self._keys[number]
        return None

    def _candidates(self, small: Thumbnail) -> Iterator[tuple[int, Margins]]:
        """The rows whose coarse grids correlate with this thumbnail's, each with the window that correlates most."""
        coarse, fine = grid(small), grid(small, WHOLE, _FINE)
        near = np.flatnonzero(self._middles @ coarse >= _LEAST_MIDDLE)
        likeness = self._windows[near] @ coarse
        for index in np.flatnonzero(likeness.max(1, initial=0) >= _LEAST_WINDOW).tolist():
            block, row = self._rows[number := int(near[index])]
            window = _WINDOWS[int(likeness[index].argmax())]
            if grid(block["thumbnail"][row], window, _FINE) @ fine >= _LEAST_FINE:
                yield number, window
