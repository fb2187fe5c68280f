"""COCO segmentations → compressed run lengths, exactly as pycocotools does for evaluation."""

from collections.abc import Sequence

import msgspec
import numpy as np
from pycocotools import mask as coco_mask

from data_prep.format.records import Rle
from data_prep.sources.polygons import REACH, rasterise
from data_prep.sources.reasons import BrokenError

# So many polygons are rasterised together: enough to be worth while, and their arrays stay in the cache.
AT_ONCE = 256


class RawRle(msgspec.Struct, frozen=True):
    """Run lengths as COCO files have them: a list of counts, or the compressed string."""

    size: tuple[int, int]
    counts: list[int] | str


Segmentation = list[list[float]] | RawRle | None


def to_rles(segmentations: Sequence[Segmentation], sizes: Sequence[tuple[int, int]]) -> list[Rle | BrokenError | None]:
    """Each one's mask over the whole image of that size (height, width), as pycocotools' evaluator would make it.

    None where there is none, a BrokenError for what is not a mask of the image. Objects of one polygon, nine in
    ten, are rasterised together: they take half the time so, others would gain nothing.
    """
    found = _of_single_polygons(segmentations, sizes)
    pairs = enumerate(zip(segmentations, sizes, strict=True))
    return [found.get(number) or _to_rle(segmentation, size) for number, (segmentation, size) in pairs]


def _of_single_polygons(segmentations: Sequence[Segmentation], sizes: Sequence[tuple[int, int]]) -> dict[int, Rle]:
    """The masks that can be had so, by their numbers."""
    polygons = {
        number: segmentation[0]
        for number, segmentation in enumerate(segmentations)
        if isinstance(segmentation, list) and len(segmentation) == 1 and _is_polygon(segmentation[0])
    }
    numbers, found = list(polygons), dict[int, Rle]()
    for start in range(0, len(numbers), AT_ONCE):
        group = numbers[start : start + AT_ONCE]
        heights, widths = np.array([sizes[number] for number in group], np.int32).T
        counts, sure = rasterise([polygons[number] for number in group], heights, widths)
        each = zip(group, counts, sure, strict=True)
        found |= {number: Rle(sizes[number], text) for number, text, is_sure in each if is_sure}
    return found


def _to_rle(segmentation: Segmentation, size: tuple[int, int]) -> Rle | BrokenError | None:
    if not segmentation:
        return None
    encode = _of_polygons if isinstance(segmentation, list) else _of_run_lengths
    try:
        return encode(segmentation, size)  # type: ignore[arg-type]
    except BrokenError as error:
        return error


def _of_polygons(polygons: list[list[float]], size: tuple[int, int]) -> Rle:
    _check_polygons(polygons, *size)
    outlines = coco_mask.frPyObjects(polygons, *size)
    compressed = outlines[0] if len(outlines) == 1 else coco_mask.merge(outlines)
    return Rle(size, compressed["counts"].decode("ascii"))


def _of_run_lengths(given: RawRle, size: tuple[int, int]) -> Rle:
    height, width = size
    if given.size != size:
        raise BrokenError("bad_mask", f"size {given.size}, image {size}")
    if isinstance(given.counts, str):
        _check_counts(_decompress(given.counts), height * width)
        return Rle(size, given.counts)
    _check_counts(given.counts, height * width)
    compressed = coco_mask.frPyObjects({"size": list(size), "counts": given.counts}, height, width)
    return Rle(size, compressed["counts"].decode("ascii"))


def _is_polygon(numbers: list[float]) -> bool:
    return len(numbers) >= 6 and len(numbers) % 2 == 0


def mask_area(mask: Rle) -> float:
    """Square pixels of a mask."""
    return float(coco_mask.area({"size": list(mask.size), "counts": mask.counts.encode()}))


def _check_polygons(polygons: list[list[float]], height: int, width: int) -> None:
    """Rasterising costs time and memory along the outline, so points must lie in or near the image."""
    for polygon in polygons:
        if not _is_polygon(polygon):
            raise BrokenError("bad_mask", f"a polygon of {len(polygon)} numbers")
        if min(polygon) < -max(height, width) or max(polygon) > REACH * max(height, width):
            raise BrokenError("bad_mask", "a polygon far outside the image")


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
