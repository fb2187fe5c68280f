"""From a copy's coordinates to those of the image that stands: scaled, rounded to 0.01 pixels, clipped."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.sources.reasons import BrokenError

Boxes = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]

# Up to here a hundredth of a pixel is far more than the error of a product.
_EXACT_BELOW = 1e6


@dataclass(frozen=True)
class Frame:
    """Where a copy's coordinates lie in an image of `width` × `height` pixels: scaled by `x` and `y`."""

    width: int
    height: int
    x: float = 1.0
    y: float = 1.0

    def clip(self, x: float, y: float, w: float, h: float) -> tuple[Box, bool]:
        """A box in the frame, and whether a part of it lay outside; raises BrokenError if nothing of it is left."""
        left, right = round(x * self.x, 2), round((x + w) * self.x, 2)
        top, bottom = round(y * self.y, 2), round((y + h) * self.y, 2)
        if right <= left or bottom <= top:
            raise BrokenError("zero_size")
        inside = (max(left, 0.0), max(top, 0.0), min(right, float(self.width)), min(bottom, float(self.height)))
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            raise BrokenError("outside_image")
        box = (inside[0], inside[1], round(inside[2] - inside[0], 2), round(inside[3] - inside[1], 2))
        return box, inside != (left, top, right, bottom)


class Clipped(NamedTuple):
    """`boxes`: (x, y, w, h, area) float64[N, 5] in the frames; `clipped`: bool[N], whether a part lay outside.

    `sure`: bool[N]; the others have no area, lie outside or are beyond reason, and have to be looked at one by one.
    """

    boxes: Boxes
    clipped: npt.NDArray[np.bool_]
    sure: npt.NDArray[np.bool_]


def clip_all(boxes: Boxes, frames: list[Frame], counts: list[int]) -> Clipped:
    """What `Frame.clip` makes of boxes (x, y, w, h) float64[N, 4], to the bit; `counts` of them lie in each frame."""
    scales = np.repeat(np.array([(f.x, f.y, f.x, f.y) for f in frames]), counts, axis=0)
    highest = np.repeat(np.array([(np.inf, np.inf, f.width, f.height) for f in frames]), counts, axis=0)
    sides = boxes.copy()
    sides[:, 2:] += boxes[:, :2]
    sides = rounded(sides * scales)
    # In these words -0.0 stays what it is, as it does with max and min.
    inside = np.where(sides < _LOWEST, _LOWEST, sides)
    inside = np.where(highest < inside, highest, inside)
    found = np.empty((len(boxes), 5))
    found[:, :2] = inside[:, :2]
    found[:, 2:4] = rounded(inside[:, 2:] - inside[:, :2])
    found[:, 4] = rounded(found[:, 2] * found[:, 3])
    sound = (found[:, 2:4] > 0) & (boxes[:, 2:] > 0)
    small = np.abs(np.concatenate([boxes, sides], axis=1)) < _EXACT_BELOW
    sure = np.logical_and.reduce(np.concatenate([sound, small], axis=1), axis=1)
    return Clipped(found, (inside != sides).any(1), sure)


_LOWEST = np.array([0, 0, -np.inf, -np.inf])


def rounded(numbers: Boxes) -> Boxes:
    """`round(number, 2)` for each, to the bit, for numbers below a million in size (NaN and others: any number).

    The hundredths are right unless a number lies so close to the middle between two of them that multiplying it by
    100 could have moved it across: those are given to `round` itself.
    """
    hundredths = numbers * 100
    nearest = np.rint(hundredths)
    result: Boxes = nearest / 100
    close = np.abs(hundredths - nearest) > 0.4999
    if close.any():
        result[close] = [round(number, 2) for number in numbers[close].tolist()]
    return result
