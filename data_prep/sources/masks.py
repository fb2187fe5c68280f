"""COCO segmentations → compressed run lengths, exactly as pycocotools does for evaluation."""

from typing import Literal

import msgspec

from data_prep.format.records import Rle
from data_prep.format.rle import check_mask, encode_polygons, encode_run_lengths, mask_area, mask_box
from data_prep.sources.reasons import BrokenError

# The run lengths of an empty mask are one number, at most seven characters.
_EMPTY = 7
# Boxes are rounded, and masks drawn by hand.
_APART = 1.0
# So far a mask may reach out of its box, in pixels or as a part of the box's side.
_BEYOND, _BEYOND_OF_BOX = 3.0, 0.1

# Points of a polygon lie at most this many longer sides of the image from its upper left corner.
REACH = 2


class RawRle(msgspec.Struct, frozen=True):
    """Run lengths as COCO files have them: a list of counts, or the compressed string."""

    size: tuple[int, int]
    counts: list[int] | str


Segmentation = list[list[float]] | RawRle | None


def to_rle(segmentation: Segmentation, size: tuple[int, int]) -> Rle | None:
    """The mask over the whole image of `size` (height, width), as pycocotools' evaluator would make it.

    None where there is no segmentation; raises BrokenError if it is no mask of the image.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        _check_polygons(segmentation, max(size))
        return encode_polygons(segmentation, size)
    if segmentation.size != size:
        swapped = ": width and height are swapped" if segmentation.size == size[::-1] else ""
        raise BrokenError("bad_mask", f"segmentation.size: {segmentation.size}, image {size}{swapped}")
    try:
        return _of_run_lengths(segmentation.counts, size)
    except ValueError as error:
        raise BrokenError("bad_mask", str(error)) from None


def is_empty(mask: Rle) -> bool:
    """Whether the mask is without a pixel."""
    return len(mask.counts) <= _EMPTY and mask_area(mask) == 0


Place = Literal["within", "beyond", "apart"]
"""Of a mask: within its box, reaching out of it, or apart from it."""


def place_of_mask(mask: Rle, box: tuple[float, float, float, float], segmentation: Segmentation = None) -> Place:
    """Where a mask lies that should lie in its box (x, y, width, height).

    With its `segmentation` it takes no look at the mask, where a few points of a polygon lie within the box.
    """
    x, y, w, h = box
    aside_x, aside_y = max(_BEYOND, _BEYOND_OF_BOX * w), max(_BEYOND, _BEYOND_OF_BOX * h)
    left, top, right, bottom = x - aside_x, y - aside_y, x + w + aside_x, y + h + aside_y
    if isinstance(segmentation, list):
        points = segmentation[0]
        count = len(points) // 2
        for at in (0, count // 4 * 2, count // 2 * 2, 3 * count // 4 * 2):
            if not (left <= points[at] <= right and top <= points[at + 1] <= bottom):
                break
        else:
            return "within"
    mask_x, mask_y, mask_w, mask_h = mask_box(mask)
    apart_x = mask_x > x + w + _APART or mask_x + mask_w + _APART < x
    if apart_x or mask_y > y + h + _APART or mask_y + mask_h + _APART < y:
        return "apart"
    inside = left <= mask_x and top <= mask_y and mask_x + mask_w <= right and mask_y + mask_h <= bottom
    return "within" if inside else "beyond"


def _of_run_lengths(counts: list[int] | str, size: tuple[int, int]) -> Rle:
    if isinstance(counts, list):
        return encode_run_lengths(counts, size)
    mask = Rle(size, counts)
    check_mask(mask)
    return mask


def _check_polygons(polygons: list[list[float]], longer_side: int) -> None:
    """Rasterizing costs time and memory along the outline, so points must lie in or near the image."""
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise BrokenError("bad_mask", f"a polygon of {len(polygon)} numbers")
        if min(polygon) < -longer_side or max(polygon) > REACH * longer_side:
            raise BrokenError("bad_mask", "a polygon far outside the image")
