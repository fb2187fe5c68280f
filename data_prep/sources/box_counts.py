"""Whether a source's boxes are x, y, width, height in pixels: one box tells little, all of them do."""

from collections.abc import Sequence

import msgspec

from data_prep.sources.coordinates import Box, CoordinateTransform

# Annotation tools round, and let a box begin on the image's edge.
_TOLERANCE = 1.0
# Below so many boxes chance could make any of them look like something else.
_LEAST_BOXES = 8
_LEAST_FRACTIONS = 3
# An image of so few pixels may have an object of one.
_SMALL = 8
_MANY, _SOME = 0.5, 0.2


class BoxCounts(msgspec.Struct):
    """How many boxes there are; reach beyond the image; would lie in it as (x1, y1, x2, y2); lie within 0 to 1."""

    number: int = 0
    beyond: int = 0
    corners: int = 0
    fractions: int = 0

    def add(self, box: tuple[float, float, float, float], width: int, height: int) -> str | None:
        """Count a box on an image of that size in pixels; returns what is odd about it, as a code of `NOTED`."""
        x, y, w, h = box
        right, bottom = width + _TOLERANCE, height + _TOLERANCE
        beyond = x < -_TOLERANCE or y < -_TOLERANCE or x + w > right or y + h > bottom
        self.number += 1
        self.beyond += beyond
        self.corners += x < w <= right and y < h <= bottom
        fraction = x + w <= 1 and y + h <= 1 and not beyond and max(width, height) > _SMALL
        self.fractions += fraction
        return "beyond_image" if beyond else "box_of_fractions" if fraction else None

    def add_clipped(self, boxes: Sequence[Box], transform: CoordinateTransform) -> list[int]:
        """Count boxes that were scaled and clipped to the image; returns the positions of those within 0 to 1."""
        self.number += len(boxes)
        if max(transform.width, transform.height) <= _SMALL:
            return []
        right, bottom = transform.scale_x, transform.scale_y
        found = [at for at, (x, y, w, h) in enumerate(boxes) if x + w <= right and y + h <= bottom]
        self.fractions += len(found)
        return found

    def join(self, other: "BoxCounts") -> None:
        """Add another worker's counts."""
        self.number += other.number
        self.beyond += other.beyond
        self.corners += other.corners
        self.fractions += other.fractions

    def trouble(self) -> str | None:
        """What is wrong with the boxes as a whole, or None."""
        if self.fractions > _MANY * self.number and self.number >= _LEAST_FRACTIONS:
            return (
                f"{self.fractions} of {self.number} boxes lie between 0 and 1: they look like fractions of the image; "
                "multiply them by the width and height"
            )
        if self.number < _LEAST_BOXES:
            return None
        if self.beyond > _MANY * self.number or (self.corners == self.number and self.beyond > _SOME * self.number):
            look = "they look like x1 y1 x2 y2" if self.corners > _MANY * self.number else "they are not in its pixels"
            return f"{self.beyond} of {self.number} boxes reach beyond their image: {look}, not x y width height"
        return None
