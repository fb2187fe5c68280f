"""COCO segmentations → compressed run lengths, exactly as pycocotools does for evaluation."""

import msgspec
from pycocotools import mask as coco_mask

from data_prep.format.records import Rle
from data_prep.reasons import BrokenError


class RawRle(msgspec.Struct, frozen=True):
    """Run lengths as COCO files have them: a list of counts, or the compressed string."""

    size: tuple[int, int]
    counts: list[int] | str


Segmentation = list[list[float]] | RawRle | None


def to_rle(segmentation: Segmentation, height: int, width: int) -> Rle | None:
    """The mask over the whole photograph; None where there is none. Raises BrokenError for what is not a mask of it.

    Polygons are rasterised and united by pycocotools, so that the mask is the one its evaluator would make.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, list):
        _check_polygons(segmentation, height, width)
        outlines = coco_mask.frPyObjects(segmentation, height, width)
        compressed = outlines[0] if len(outlines) == 1 else coco_mask.merge(outlines)
        return Rle((height, width), compressed["counts"].decode("ascii"))
    if segmentation.size != (height, width):
        raise BrokenError("bad_mask", f"size {segmentation.size}, photograph {(height, width)}")
    if isinstance(segmentation.counts, str):
        _check_counts(_decompress(segmentation.counts), height * width)
        return Rle((height, width), segmentation.counts)
    _check_counts(segmentation.counts, height * width)
    compressed = coco_mask.frPyObjects({"size": [height, width], "counts": segmentation.counts}, height, width)
    return Rle((height, width), compressed["counts"].decode("ascii"))


def mask_area(mask: Rle) -> float:
    """Square pixels of a mask."""
    return float(coco_mask.area({"size": list(mask.size), "counts": mask.counts.encode()}))


def _check_polygons(polygons: list[list[float]], height: int, width: int) -> None:
    """Rasterising costs time and memory along the outline, so points must lie in or near the photograph."""
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise BrokenError("bad_mask", f"a polygon of {len(polygon)} numbers")
        if min(polygon) < -max(height, width) or max(polygon) > 2 * max(height, width):
            raise BrokenError("bad_mask", "a polygon far outside the photograph")


def _check_counts(counts: list[int], pixels: int) -> None:
    if min(counts, default=-1) < 0 or sum(counts) != pixels:
        raise BrokenError("bad_mask", f"run lengths do not add up to {pixels} pixels")


def _decompress(text: str) -> list[int]:
    """COCO's compressed string as counts: six bits a character, each count from the third on relative to two before."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise BrokenError("bad_mask", "run lengths with a character that does not belong there")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise BrokenError("bad_mask", "run lengths that stop in the middle")
    return counts
