"""COCO segmentations → compressed run lengths, exactly as pycocotools does for evaluation."""

import msgspec

from data_prep.format.records import Rle
from data_prep.format.rle import check_mask, encode_polygons, encode_run_lengths, mask_area, mask_box
from data_prep.sources.reasons import BrokenError

# The run lengths of an empty mask are one number, at most seven characters.
_EMPTY = 7
# Boxes are rounded, and masks drawn by hand.
_APART = 1.0

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


def is_off_box(mask: Rle, box: tuple[float, float, float, float], segmentation: Segmentation = None) -> bool:
    """Whether the mask and the box (x, y, width, height) are apart from each other.

    With its `segmentation` it takes no look at the mask, where a polygon begins within the box.
    """
    x, y, w, h = box
    if isinstance(segmentation, list):
        first_x, first_y = segmentation[0][:2]
        if x <= first_x <= x + w and y <= first_y <= y + h:
            return False
    mask_x, mask_y, mask_w, mask_h = mask_box(mask)
    apart_x = mask_x > x + w + _APART or mask_x + mask_w + _APART < x
    return apart_x or mask_y > y + h + _APART or mask_y + mask_h + _APART < y


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
