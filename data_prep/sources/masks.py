"""COCO segmentations → compressed run lengths, exactly as pycocotools does for evaluation."""

import msgspec

from data_prep.format.records import Rle
from data_prep.format.rle import check_mask, encode_polygons, encode_run_lengths
from data_prep.sources.reasons import BrokenError

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
        raise BrokenError("bad_mask", f"size {segmentation.size}, image {size}")
    try:
        return _of_run_lengths(segmentation.counts, size)
    except ValueError as error:
        raise BrokenError("bad_mask", str(error)) from None


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
