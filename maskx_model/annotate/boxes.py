"""The annotations of a COCO-format file: which are segmented, as what class in which box, and why others are not."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from mmap import mmap
from typing import Literal

import msgspec
import numpy as np

from data_prep.sources.box_counts import BoxCounts
from data_prep.sources.coco import CocoListing
from data_prep.sources.coco_annotations import add_coco_annotation, annotation_image_id
from data_prep.sources.coercions import Id
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import Items, read_items
from data_prep.sources.objects import ImageObjects, RawRecord
from data_prep.sources.provenance import read_mark
from data_prep.sources.reasons import BrokenError
from data_prep.sources.segmentations import plain_segmentation
from data_prep.storage.errors import JSON_ERRORS
from maskx_model.annotate.class_names import Find
from maskx_model.annotate.outcomes import CROWD, KEPT, NO_BOX, NO_IMAGE, UNKNOWN_CLASS
from maskx_model.annotate.work import OBJECT, Objects

Replace = Literal["none", "made", "all"]
"""Which masks that stand in the file are made anew: none, those marked as made by a model, or all."""

NOTHING = msgspec.Raw(b"null")
SHORT = 256
"""Bytes of a segmentation that may be none: a box of four numbers with all their digits, with room around them."""
UNLISTED = 1 << 20
"""In place of a width or height that is not listed: the file's will tell."""


class _Boxed(msgspec.Struct, gc=False):
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    segmentation: msgspec.Raw = NOTHING
    provenance: msgspec.Raw = NOTHING


class _Masked(msgspec.Struct, gc=False):
    segmentation: msgspec.Raw = NOTHING
    provenance: msgspec.Raw = NOTHING


_all = msgspec.json.Decoder(list[_Boxed])
_one = msgspec.json.Decoder(_Boxed)
_masked = msgspec.json.Decoder(_Masked)


@dataclass
class Boxes:
    """What a file asks for: its number of annotations, the objects to segment (`OBJECT`) with images as the listing
    counts them, the number of all others by outcome, and of those of classes that the model does not know by class.
    `look`: what the boxes of listed images look like as a whole."""

    annotations: int = 0
    objects: list[Objects] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    unknown_classes: Counter[str] = field(default_factory=Counter)
    look: BoxCounts = field(default_factory=BoxCounts)


class BoxesReader:
    """Reads the annotations of one file, number `number` among all, whose parts `listing` names."""

    def __init__(self, buffer: mmap, listing: CocoListing, number: int, find: Find, replace: Replace) -> None:
        self._buffer, self._listing, self._number, self._replace = buffer, listing, number, replace
        self._images = _positions(listing.images)
        self._names = {c.id: c.name for c in listing.categories}
        self._labels = {c.id: find(c.name, c.synset) for c in listing.categories}

    def read(self) -> Boxes:
        """Go over all annotations once."""
        boxes = Boxes()
        for byte_range in self._listing.byte_ranges:
            items = read_items(self._buffer, byte_range)
            rows = []
            for number, boxed in enumerate(self._decoded(items), boxes.annotations):
                outcome = boxed if isinstance(boxed, str) else self._why_not(boxed)
                if outcome is not None:
                    boxes.outcomes[outcome] += 1
                if isinstance(boxed, str):
                    continue
                self._look_at(boxed, boxes.look)
                if outcome is None:
                    label = self._labels[boxed.category_id]
                    rows.append((self._images[boxed.image_id], self._number, number, label, boxed.bbox))
                elif outcome == UNKNOWN_CLASS:
                    boxes.unknown_classes[self._names.get(boxed.category_id, f"id {boxed.category_id}")] += 1
            boxes.objects.append(np.array(rows, OBJECT))
            boxes.annotations += len(items.raw)
        return boxes

    def _look_at(self, boxed: _Boxed, look: BoxCounts) -> None:
        position = self._images.get(boxed.image_id)
        if position is not None and _has_area(boxed.bbox):
            image = self._listing.images[position]
            look.add(boxed.bbox, image.width or UNLISTED, image.height or UNLISTED)

    def _decoded(self, items: Items) -> Iterator[_Boxed | str]:
        """Every annotation, or why it is not segmented: all at once, or where one is not as COCO has it, one by one."""
        try:
            yield from _all.decode(items.data)
        except JSON_ERRORS:
            for offset, item in items:
                try:
                    yield _one.decode(item)
                except JSON_ERRORS:
                    yield self._leniently(bytes(item), offset)

    def _leniently(self, data: bytes, offset: int) -> _Boxed | str:
        """One annotation as `maskx data prepare` reads it."""
        try:
            image_id = annotation_image_id(msgspec.Raw(data))
            masked = _masked.decode(data)
        except (*JSON_ERRORS, BrokenError):
            return NO_BOX
        if image_id not in self._images:
            return NO_IMAGE
        image = self._listing.images[self._images[image_id]]
        size = CoordinateTransform(image.width or UNLISTED, image.height or UNLISTED)
        found = ImageObjects()
        add_coco_annotation(RawRecord(data, offset, size, found), self._names)
        if found.rejected:
            return UNKNOWN_CLASS if found.rejected[0].reason == "unknown_category" else NO_BOX
        ids = {name: number for number, name in self._names.items()}
        (a,) = found.annotations
        return _Boxed(image_id, ids[a.category], a.bbox, a.iscrowd, masked.segmentation, masked.provenance)

    def _why_not(self, boxed: _Boxed) -> str | None:
        """Why an annotation is not segmented; None if it is."""
        if boxed.image_id not in self._images:
            return NO_IMAGE
        if has_mask(boxed.segmentation, boxed.bbox) and not self._is_replaced(boxed.provenance):
            return KEPT
        if boxed.iscrowd:
            return CROWD
        if self._labels.get(boxed.category_id) is None:
            return UNKNOWN_CLASS
        return None if _has_area(boxed.bbox) else NO_BOX

    def _is_replaced(self, provenance: msgspec.Raw) -> bool:
        return self._replace == "all" or (self._replace == "made" and read_mark(provenance) is not None)


def has_mask(segmentation: msgspec.Raw, bbox: Sequence[float]) -> bool:
    """Whether a mask stands there. What is none for `maskx data prepare` is none here, as far as a short value shows;
    longer ones are taken for masks unread."""
    data = memoryview(segmentation)
    if data.nbytes > SHORT:
        return True
    try:
        return plain_segmentation(msgspec.json.decode(data), list(bbox), []) is not None
    except BrokenError:
        return False


def _has_area(bbox: Sequence[float]) -> bool:
    return bbox[2] > 0 and bbox[3] > 0 and all(map(math.isfinite, bbox))


def _positions(images: Sequence[SourceImage]) -> Mapping[int, int]:
    """Id → position, the first where one file is listed again; an id of several files names none."""
    positions: dict[int, int] = {}
    several = set()
    for position, image in enumerate(images):
        if images[positions.setdefault(image.id, position)].path != image.path:
            several.add(image.id)
    return {number: position for number, position in positions.items() if number not in several}
