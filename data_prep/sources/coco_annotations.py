"""COCO-format annotations → an image's objects, with the numbers that the file has.

An annotation as COCO defines it is decoded straight into what is needed; any other is read again field by field
(`lenient_annotations`).
"""

import math
from typing import Annotated

import msgspec

from data_prep.format.records import Annotation
from data_prep.format.rle import mask_area, mask_box
from data_prep.sources.coercions import Id, shown
from data_prep.sources.lenient_annotations import read_annotation, read_image_id
from data_prep.sources.masks import Place, Segmentation, is_empty, place_of_mask, to_rle
from data_prep.sources.objects import ObjectFinding, RawRecord, RejectedObject
from data_prep.sources.provenance import Provenance
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
    provenance: Provenance | None = None


_heads = msgspec.json.Decoder(list[_Head])
_annotation = msgspec.json.Decoder(_Annotation)


def annotation_image_ids(data: bytes) -> list[int]:
    """The image of every annotation in a JSON array of them; raises msgspec.DecodeError if one lacks it or writes it in
    another way than COCO."""
    return [head.image_id for head in _heads.decode(data)]


def annotation_image_id(data: msgspec.Raw) -> int:
    """The image of one annotation, however it is written; raises BrokenError if it has none."""
    return read_image_id(data)


def add_coco_annotation(record: RawRecord, categories: dict[int, str]) -> None:
    """Add the annotation to its image's objects; `categories` are the file's class names by id.

    Its numbers stay verbatim. Where the file gives no area, it is the mask's, or the box's without a mask. What COCO
    writes otherwise is repaired where its meaning is plain; a mask that is none costs the mask, never the box; an
    annotation that cannot be used is rejected.
    """
    objects, size = record.objects, (record.transform.height, record.transform.width)
    found_plainly = _as_coco(record.data, categories, size)
    if found_plainly is not None:
        annotation, place = found_plainly
    else:
        try:
            annotation, repairs = read_annotation(record, categories)
        except BrokenError as error:
            objects.rejected.append(RejectedObject(record.offset, record.data, error.reason, error.seen))
            return
        drawn = annotation.mask is not None and not annotation.iscrowd
        place = place_of_mask(annotation.mask, annotation.bbox) if annotation.mask and drawn else "within"
        if repairs:
            found = [ObjectFinding(reason, record.offset, annotation.id, seen) for reason, seen in repairs]
            objects.changed[len(objects.annotations)] = found
    if odd := objects.boxes.add(annotation.bbox, record.transform.width, record.transform.height):
        seen = f"{shown('bbox', annotation.bbox)}, image {size[1]}×{size[0]}"
        objects.noted.append(ObjectFinding(odd, record.offset, annotation.id, seen))
    if place == "beyond" and annotation.mask:
        seen = f"{shown('bbox', annotation.bbox)}, the mask's box is {list(mask_box(annotation.mask))}"
        objects.noted.append(ObjectFinding("mask_beyond_box", record.offset, annotation.id, seen))
    objects.annotations.append(annotation)


def _as_coco(data: bytes, categories: dict[int, str], size: tuple[int, int]) -> tuple[Annotation, Place] | None:
    """The annotation, if it is as COCO defines it and there is nothing to repair, and where its mask lies."""
    try:
        found = _annotation.decode(data)
        mask = to_rle(found.segmentation, size)
    except (*JSON_ERRORS, BrokenError):
        return None
    area, (x, y, w, h) = found.area, found.bbox
    if area is None:
        area = mask_area(mask) if mask else w * h
    category = categories.get(found.category_id)
    if category is None or not (w > 0 and h > 0 and area > 0 and math.isfinite(x + y + w + h + area)):
        return None
    if x >= size[1] or y >= size[0] or x + w <= 0 or y + h <= 0:
        return None
    place: Place = "within"
    if mask and not found.iscrowd:
        place = place_of_mask(mask, found.bbox, found.segmentation)
    if mask and (is_empty(mask) or place == "apart"):
        return None
    made = found.provenance if mask else None
    if made is None:
        return Annotation(found.id, category, found.bbox, area, found.iscrowd, mask), place
    return Annotation(found.id, category, found.bbox, area, found.iscrowd, mask, made.maker, made.score), place
