"""A COCO-format annotation that is not written as COCO does: field by field, repaired where its meaning is plain.

Fields that nobody needs are not looked at. A segmentation that is no mask of the image costs the mask, never the box.
"""

from typing import Any

import msgspec

from data_prep.format.records import Annotation, Rle
from data_prep.format.rle import mask_area, mask_box
from data_prep.sources.boxes import Box, plain_box
from data_prep.sources.coercions import is_mapped, shown, spelled, to_flag, to_id, to_number
from data_prep.sources.masks import is_empty, place_of_mask, to_rle
from data_prep.sources.objects import RawRecord
from data_prep.sources.provenance import maker_and_score
from data_prep.sources.reasons import BrokenError
from data_prep.sources.segmentations import Repair, plain_segmentation
from data_prep.storage.errors import JSON_ERRORS

_LISTED_CATEGORIES = 5


def read_image_id(data: msgspec.Raw) -> int:
    """The image of one annotation; raises BrokenError if it has none."""
    return to_id("image_id", record_fields(data).get("image_id"))


def read_category_id(data: msgspec.Raw) -> int | None:
    """The category of one annotation, None where it has none."""
    try:
        return to_id("category_id", record_fields(data).get("category_id"))
    except BrokenError:
        return None


def read_annotation(record: RawRecord, categories: dict[int, str]) -> tuple[Annotation, list[Repair]]:
    """The annotation, and what was repaired; raises BrokenError for one that cannot be used."""
    fields = record_fields(record.data)
    width, height = record.transform.width, record.transform.height
    repairs: list[Repair] = []
    identity, original = _identity(fields, record.offset, repairs)
    category = _category(fields, categories, repairs)
    crowd = fields.get("iscrowd", 0)
    flag = to_flag("iscrowd", crowd)
    _repair_if_changed("iscrowd", crowd, flag, repairs)
    mask = _mask(fields, (height, width), repairs)
    box = _box(fields.get("bbox"), mask, repairs)
    if box[0] >= width or box[1] >= height or box[0] + box[2] <= 0 or box[1] + box[3] <= 0:
        raise BrokenError("outside_image", f"{shown('bbox', fields.get('bbox'))}, image {width}×{height}")
    if mask and not flag and place_of_mask(mask, box) == "apart":
        repairs.append(("mask_off_box", f"{shown('bbox', list(box))}, the mask's box is {list(mask_box(mask))}"))
        mask = None
    area = _area(fields, mask, box, repairs)
    made = maker_and_score(msgspec.json.encode(fields.get("provenance"))) if mask else (None, None)
    return Annotation(identity, category, box, area, flag, mask, *made, original), repairs


def record_fields(data: bytes | msgspec.Raw) -> dict[str, Any]:
    """A record's fields as the file has them; raises BrokenError if it is no JSON object."""
    try:
        fields = msgspec.json.decode(data)
    except JSON_ERRORS as error:
        raise BrokenError("malformed", str(error)) from None
    if not isinstance(fields, dict):
        raise BrokenError("malformed", "not an object with fields")
    return fields


def _repair_if_changed(field: str, value: Any, changed: Any, repairs: list[Repair]) -> None:
    """Say so if a number was written in another way."""
    if msgspec.json.encode(value) != msgspec.json.encode(changed):
        repairs.append(("number_written", shown(field, value)))


def _identity(fields: dict[str, Any], offset: int, repairs: list[Repair]) -> tuple[int, str | None]:
    """The annotation's id, and the original one where that had to be mapped."""
    value = fields.get("id")
    if value is None:
        repairs.append(("id_absent", shown("id", value)))
        return offset, None
    identity = to_id("id", value)
    if is_mapped(value, identity):
        repairs.append(("id_mapped", shown("id", value)))
        return identity, spelled(value)
    _repair_if_changed("id", value, identity, repairs)
    return identity, None


def _category(fields: dict[str, Any], categories: dict[int, str], repairs: list[Repair]) -> str:
    value = fields.get("category_id")
    identity = to_id("category_id", value)
    if identity not in categories:
        listed = ", ".join(map(str, list(categories)[:_LISTED_CATEGORIES]))
        more = ", …" if len(categories) > _LISTED_CATEGORIES else ""
        seen = f"{shown('category_id', value)} is not listed; the file lists {listed}{more}"
        raise BrokenError("unknown_category", seen)
    if not is_mapped(value, identity):
        _repair_if_changed("category_id", value, identity, repairs)
    return categories[identity]


def _mask(fields: dict[str, Any], size: tuple[int, int], repairs: list[Repair]) -> Rle | None:
    """The mask; None where there is none or where it had to be dropped, which is then the last repair."""
    own: list[Repair] = []
    try:
        mask = to_rle(plain_segmentation(fields.get("segmentation"), fields.get("bbox"), own), size)
    except BrokenError as error:
        repairs.append((error.reason, error.seen))
        return None
    repairs += own
    if mask and is_empty(mask):
        repairs.append(("empty_mask", f"{shown('segmentation', fields.get('segmentation'))}: without a pixel"))
        return None
    return mask


def _box(value: Any, mask: Rle | None, repairs: list[Repair]) -> Box:
    """The box; that of the mask where there is none, or one without an area."""
    box = plain_box(value, repairs)
    if box and box[2] > 0 and box[3] > 0:
        return box
    if mask is None and box:
        raise BrokenError("zero_size", shown("bbox", value))
    if mask is None:
        raise BrokenError("malformed", f"{shown('bbox', value)}, and there is no mask to compute it from")
    repairs.append(("bbox_from_mask", shown("bbox", value)))
    return mask_box(mask)


def _area(fields: dict[str, Any], mask: Rle | None, box: Box, repairs: list[Repair]) -> float:
    value = fields.get("area")
    try:
        area = to_number("area", value)
    except BrokenError:
        area = 0.0
    if area > 0:
        if isinstance(value, str):
            repairs.append(("number_written", shown("area", value)))
        return area
    if value is not None:
        repairs.append(("area", shown("area", value)))
    return mask_area(mask) if mask else box[2] * box[3]
