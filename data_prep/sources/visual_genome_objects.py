"""From a record of `objects.json` to its image's objects, in whichever spelling (`visual_genome_records`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from data_prep.format.records import Annotation
from data_prep.sources.coercions import Id, shown
from data_prep.sources.coordinates import CoordinateTransform, to_hundredth
from data_prep.sources.objects import ObjectFinding, RawRecord, RejectedObject
from data_prep.sources.reasons import BrokenError
from data_prep.sources.visual_genome_records import AnyObjectHead, either_id, raw_objects, synsets_of
from data_prep.storage.errors import JSON_ERRORS


class _Object(msgspec.Struct, gc=False):
    object_id: Id
    x: float
    y: float
    w: float
    h: float
    synsets: tuple[str, ...]


class _TypedObjects(msgspec.Struct, gc=False):
    objects: list[_Object]


class _AnyObject(AnyObjectHead, kw_only=True):
    x: float
    y: float
    w: float
    h: float
    object_id: Id | None = None
    id: Any = None


# As in `visual_genome_records`, the spelling of releases 1.2 and 1.4 is tried first.
_object = msgspec.json.Decoder(_Object)
_typed_objects = msgspec.json.Decoder(_TypedObjects)
_any_object = msgspec.json.Decoder(_AnyObject)
_rewritten_object = msgspec.json.Decoder(_AnyObject, strict=False)  # its numbers may be text


def add_visual_genome_objects(record: RawRecord, synsets: Mapping[str, str]) -> None:
    """Add the record's objects to its image's. `synsets` maps an object's name to its synset, for objects that have
    none."""
    first = len(record.objects.annotations)
    for number, item in enumerate(_decode_objects(record.data)):
        try:
            annotation = object_annotation(item, record.transform, synsets)
        except BrokenError as error:
            data = bytes(raw_objects(record.data)[number])
            record.objects.rejected.append(RejectedObject(record.offset, data, error.reason, error.seen))
            continue
        if isinstance(annotation, str):
            record.objects.excluded.append(annotation)
        else:
            if not isinstance(item, _Object) and (seen := _rewritten(item)):
                finding = ObjectFinding("number_written", record.offset, annotation[0].id, seen)
                record.objects.changed[len(record.objects.annotations)] = [finding]
            record.objects.annotations.append(annotation[0])
            record.objects.clipped += annotation[1]
    _note_fractions(record, record.objects.annotations[first:])


def _note_fractions(record: RawRecord, added: Sequence[Annotation]) -> None:
    """Note boxes that are perhaps fractions of the image."""
    for at in record.objects.boxes.add_clipped([annotation.bbox for annotation in added], record.transform):
        seen = f"{shown('x, y, w, h', added[at].bbox)}, image {record.transform.width}×{record.transform.height}"
        record.objects.noted.append(ObjectFinding("box_of_fractions", record.offset, added[at].id, seen))


def _decode_objects(data: bytes) -> Sequence[_Object | msgspec.Raw]:
    try:
        return _typed_objects.decode(data).objects
    except JSON_ERRORS:
        return raw_objects(data)


def object_annotation(
    item: _Object | msgspec.Raw, transform: CoordinateTransform, synsets: Mapping[str, str]
) -> tuple[Annotation, bool] | str:
    """One object as the dataset has it, and whether its box was clipped; or the reason why a rule excludes it.

    Its box is scaled, clipped to the image and rounded to 0.01 pixels. Raises BrokenError for an object that is
    malformed, has no area, or lies outside the image.
    """
    found = item if isinstance(item, _Object) else _decode(item, synsets)
    named = found.synsets if all(found.synsets) else tuple(filter(None, found.synsets))
    if len(named) != 1:
        return "several_synsets" if named else "no_synset"
    if found.w <= 0 or found.h <= 0:
        raise BrokenError("zero_size")
    box, clipped = transform.clip(found.x, found.y, found.w, found.h)
    return Annotation(found.object_id, named[0], box, to_hundredth(box[2] * box[3])), clipped


def _rewritten(data: msgspec.Raw) -> str | None:
    """Which of an object's numbers is written as text, None if all are numbers."""
    try:
        _any_object.decode(data)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _decode(data: msgspec.Raw, synsets: Mapping[str, str]) -> _Object:
    try:
        return _object.decode(data)
    except JSON_ERRORS:
        return _decode_any_spelling(data, synsets)


def _decode_any_spelling(data: msgspec.Raw, synsets: Mapping[str, str]) -> _Object:
    try:
        found = _rewritten_object.decode(data)
        object_id = either_id(found.object_id, found.id, "object_id")
    except JSON_ERRORS as error:
        raise BrokenError("malformed", str(error)) from None
    return _Object(object_id, found.x, found.y, found.w, found.h, tuple(synsets_of(found, synsets)))
