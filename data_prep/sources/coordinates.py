"""From a copy's coordinates to those of the canonical image: scaled, rounded to 0.01 pixels, clipped."""

from dataclasses import dataclass

from data_prep.sources.reasons import BrokenError

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

        Raises BrokenError if nothing of it is left.
        """
        left, right = round(x * self.scale_x, 2), round((x + w) * self.scale_x, 2)
        top, bottom = round(y * self.scale_y, 2), round((y + h) * self.scale_y, 2)
        if right <= left or bottom <= top:
            raise BrokenError("zero_size")
        clipped = left < 0 or top < 0 or right > self.width or bottom > self.height
        if clipped:
            left, top = max(left, 0.0), max(top, 0.0)
            right, bottom = min(right, float(self.width)), min(bottom, float(self.height))
            if right <= left or bottom <= top:
                raise BrokenError("outside_image")
        return (left, top, round(right - left, 2), round(bottom - top, 2)), clipped
