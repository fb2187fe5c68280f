"""COCO-format annotations → an image's objects, with the numbers that the file has."""

import math
from typing import Annotated

import msgspec

from data_prep.format.records import Annotation
from data_prep.format.rle import mask_area
from data_prep.sources.coco import Id
from data_prep.sources.masks import Segmentation, to_rle
from data_prep.sources.objects import RawRecord, RejectedObject
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import JSON_ERRORS


class _Head(msgspec.Struct):
    image_id: Id


class _Annotation(msgspec.Struct, gc=False):
    id: Id
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    segmentation: Segmentation = None


_head = msgspec.json.Decoder(_Head)
_heads = msgspec.json.Decoder(list[_Head])
_annotation = msgspec.json.Decoder(_Annotation)


def annotation_image_ids(data: bytes) -> list[int]:
    """The image of every annotation in a JSON array of them; raises msgspec.DecodeError if one lacks it."""
    return [head.image_id for head in _heads.decode(data)]


def annotation_image_id(data: msgspec.Raw) -> int:
    """The image of one annotation; raises msgspec.DecodeError if it lacks it."""
    return _head.decode(data).image_id


def add_coco_annotation(record: RawRecord, categories: dict[int, str]) -> None:
    """Add the annotation to its image's objects; `categories` are the file's class names by id.

    Its numbers stay verbatim. A malformed annotation or one without an area is rejected. Where the file gives no area,
    it is the mask's, or the box's without a mask.
    """
    try:
        found = _decode(record.data, categories)
        mask = to_rle(found.segmentation, (record.transform.height, record.transform.width))
    except BrokenError as error:
        record.objects.rejected.append(RejectedObject(record.offset, record.data, error.reason, error.seen))
        return
    area = found.area
    if area is None:
        area = mask_area(mask) if mask else found.bbox[2] * found.bbox[3]
    category = categories[found.category_id]
    record.objects.annotations.append(Annotation(found.id, category, found.bbox, area, found.iscrowd, mask))


def _decode(data: bytes, categories: dict[int, str]) -> _Annotation:
    """One annotation, checked except for its mask; raises BrokenError."""
    try:
        found = _annotation.decode(data)
    except JSON_ERRORS as error:
        raise BrokenError("malformed", str(error)) from None
    area, (x, y, w, h) = found.area, found.bbox
    if found.category_id not in categories:
        raise BrokenError("unknown_category")
    if not math.isfinite(x + y + w + h + (area or 0.0)) and not all(map(math.isfinite, (x, y, w, h, area or 0.0))):
        raise BrokenError("malformed", "a number too large")
    if w <= 0 or h <= 0 or (area is not None and area <= 0):
        raise BrokenError("zero_size")
    return found
