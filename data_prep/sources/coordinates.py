"""From a copy's coordinates to those of the canonical image: scaled, rounded to 0.01 pixels, clipped."""

from dataclasses import dataclass
from math import floor

from data_prep.sources.reasons import BrokenError

_FAR = 1e9  # pixels

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class CoordinateTransform:
    """Scales a copy's coordinates into an image of `width` × `height` pixels."""

    width: int
    height: int
    scale_x: float = 1.0
    scale_y: float = 1.0

    def clip(self, x: float, y: float, w: float, h: float) -> tuple[Box, bool]:
        """Scale a box and clip it to the image; the second value says whether a part of it lay outside.

        Raises BrokenError if nothing of it is left, or if it is farther away than any image is wide.
        """
        if not (abs(x) < _FAR and abs(y) < _FAR and abs(w) < _FAR and abs(h) < _FAR):
            raise BrokenError("malformed", "a number too large")
        left, right = to_hundredth(x * self.scale_x), to_hundredth((x + w) * self.scale_x)
        top, bottom = to_hundredth(y * self.scale_y), to_hundredth((y + h) * self.scale_y)
        if right <= left or bottom <= top:
            raise BrokenError("zero_size")
        clipped = left < 0 or top < 0 or right > self.width or bottom > self.height
        if clipped:
            left, top = max(left, 0.0), max(top, 0.0)
            right, bottom = min(right, float(self.width)), min(bottom, float(self.height))
            if right <= left or bottom <= top:
                raise BrokenError("outside_image")
        return (left, top, to_hundredth(right - left), to_hundredth(bottom - top)), clipped


def to_hundredth(number: float) -> float:
    """The nearest hundredth, halves up; `round` takes three times as long."""
    return floor(number * 100 + 0.5) / 100
