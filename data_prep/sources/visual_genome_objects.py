"""From a record of `objects.json` to its image's objects, whichever release of Visual Genome wrote it.

Every release has its own spelling, and one folder may hold files of several:

- 1.4: `image_id`, `object_id`, `names`, `synsets` (a list of strings), `merged_object_ids`;
- 1.2: the same without `merged_object_ids`;
- 1.0: `id` for images and for objects, `names`, no `synsets`: those are looked up in `object_synsets.json`, which is
  published beside and maps an object's name to its synset.

Where objects stand in other files of these releases, or come from the public API, they have a `name` for `names`, and
synsets as objects with a `synset_name`; that is read too. An object with a list of synsets, be it empty, is never
looked up by name.
"""

import math
from collections.abc import Mapping
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from data_prep.format.records import Annotation
from data_prep.sources.coco import Id
from data_prep.sources.coordinates import Frame, clip_all
from data_prep.sources.objects import Broken, Item
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import JSON_ERRORS


class ImageHead(msgspec.Struct, frozen=True):
    """Which image a record of `objects.json` is of, how many objects it has, and each of their synsets."""

    image_id: int
    objects: int
    synsets: list[str]


class _Objects(msgspec.Struct):
    objects: list[msgspec.Raw]


class _Record(_Objects):
    image_id: Id | None = None
    id: Any = None


class _ObjectHead(msgspec.Struct, gc=False):
    synsets: tuple[str, ...]


class _Head(msgspec.Struct):
    image_id: Id
    objects: list[_ObjectHead]


class _Object(msgspec.Struct, gc=False):
    object_id: Id
    x: float
    y: float
    w: float
    h: float
    synsets: tuple[str, ...]


class _TypedObjects(msgspec.Struct, gc=False):
    objects: list[_Object]


class _NamedSynset(msgspec.Struct):
    synset_name: str


class _AnyObjectHead(msgspec.Struct):
    synsets: list[str | _NamedSynset] | None = None
    names: list[str] | None = None
    name: str | None = None


class _AnyHead(msgspec.Struct):
    objects: list[_AnyObjectHead]
    image_id: Id | None = None
    id: Any = None


class _AnyObject(_AnyObjectHead, kw_only=True):
    x: float
    y: float
    w: float
    h: float
    object_id: Id | None = None
    id: Any = None


# Releases 1.2 and 1.4 decode straight into what is needed; what does not fit is tried again in any spelling.
_objects = msgspec.json.Decoder(_Objects)
_record = msgspec.json.Decoder(_Record)
_heads = msgspec.json.Decoder(list[_Head])
_any_heads = msgspec.json.Decoder(list[_AnyHead])
_any_object_head = msgspec.json.Decoder(_AnyObjectHead)
_object = msgspec.json.Decoder(_Object)
_typed_objects = msgspec.json.Decoder(_TypedObjects)
_any_object = msgspec.json.Decoder(_AnyObject)

_id, _box = attrgetter("object_id"), attrgetter("x", "y", "w", "h")


def either(found: int | None, other: Any, name: str) -> int:
    """The id under its present name, else what stands under the early one; raises msgspec.ValidationError for no id."""
    if found is not None:
        return found
    if other is None:
        raise msgspec.ValidationError(f"Object missing required field `{name}` (or `id`)")
    return msgspec.convert(other, Id)


def image_heads(data: bytes, synsets: Mapping[str, str]) -> list[ImageHead]:
    """Every record's image and synsets in a JSON array of records; raises msgspec.DecodeError if one is malformed.

    `synsets` tells an object's synset by its name where the object has none.
    """
    try:
        return [
            ImageHead(head.image_id, len(head.objects), [s for item in head.objects for s in item.synsets if s])
            for head in _heads.decode(data)
        ]
    except msgspec.ValidationError:
        return [_image_head(head, synsets) for head in _any_heads.decode(data)]


def _image_head(head: _AnyHead, synsets: Mapping[str, str]) -> ImageHead:
    named = [synset for item in head.objects for synset in _synsets_of(item, synsets)]
    return ImageHead(either(head.image_id, head.id, "image_id"), len(head.objects), named)


def _synsets_of(item: _AnyObjectHead, synsets: Mapping[str, str]) -> list[str]:
    """The object's synsets, however it has them; what two of its names have in common counts once."""
    if item.synsets is not None:
        named = (synset if isinstance(synset, str) else synset.synset_name for synset in item.synsets)
        return [synset for synset in named if synset]
    names = [*(item.names or ()), *([item.name] if item.name else ())]
    return [synset for synset in dict.fromkeys(synsets.get(plain_name(name), "") for name in names) if synset]


def plain_name(name: str) -> str:
    """An object's name as it is looked up."""
    return name.strip().lower()


def say_nothing_of_synsets(data: bytes) -> bool:
    """Whether the objects in a JSON array of records have names, but not one has synsets, be it an empty list."""
    try:
        objects = [item for head in _any_heads.decode(data) for item in head.objects]
    except JSON_ERRORS:
        return False
    return any(item.names or item.name for item in objects) and all(item.synsets is None for item in objects)


def raw_objects(data: msgspec.Raw) -> list[msgspec.Raw]:
    """The objects of a record that has a head, undecoded."""
    return _objects.decode(data).objects


def head_of(data: msgspec.Raw, synsets: Mapping[str, str]) -> ImageHead:
    """One record's head, reading over malformed objects; raises msgspec.DecodeError if the record itself is so."""
    record = _record.decode(data)
    objects = [_lenient_head(item) for item in record.objects]
    return _image_head(_AnyHead(objects, record.image_id, record.id), synsets)


def _lenient_head(item: msgspec.Raw) -> _AnyObjectHead:
    try:
        return _any_object_head.decode(item)
    except JSON_ERRORS:
        return _AnyObjectHead()


def take(items: list[Item], synsets: Mapping[str, str]) -> None:
    """Put each record's objects where they go. `synsets` tells an object's synset by its name where it has none."""
    decoded: list[tuple[Item, list[_Object]]] = []
    for item in items:
        try:
            decoded.append((item, _typed_objects.decode(item.data).objects))
        except JSON_ERRORS:
            _take_one_by_one(item, synsets)
    if decoded:
        _take_all(decoded)


def _take_one_by_one(item: Item, synsets: Mapping[str, str]) -> None:
    for data in raw_objects(msgspec.Raw(item.data)):
        try:
            taken = object_annotation(data, item.frame, synsets)
        except BrokenError as error:
            item.into.rejected.append(Broken(item.offset, bytes(data), error.reason, error.seen))
            continue
        if isinstance(taken, str):
            item.into.left_out.append(taken)
            continue
        item.into.annotations.append(taken[0])
        item.into.clipped += taken[1]


def _take_all(decoded: list[tuple[Item, list[_Object]]]) -> None:
    """Work on the objects as columns; those with any trouble are judged by themselves."""
    counts = [len(objects) for _, objects in decoded]
    objects = list(chain.from_iterable(objects for _, objects in decoded))
    numbers = np.fromiter(chain.from_iterable(map(_box, objects)), np.float64, 4 * len(objects))
    boxes, clipped, sure = clip_all(numbers.reshape(-1, 4), [item.frame for item, _ in decoded], counts)
    names = [o.synsets[0] if len(o.synsets) == 1 else "" for o in objects]
    x, y, w, h, areas = boxes.T.tolist()
    corners = zip(x, y, w, h, strict=True)
    taken: list[Annotation | None] = list(map(Annotation, map(_id, objects), names, corners, areas))
    ends = np.cumsum(counts)
    for position in np.flatnonzero(~sure | ~np.fromiter(map(bool, names), np.bool_, len(names))).tolist():
        record = int(np.searchsorted(ends, position, "right"))
        number = position - int(ends[record]) + counts[record]
        taken[position], clipped[position] = _judge_one(decoded[record][0], objects[position], number)
    for (item, _), start, end in zip(decoded, [0, *ends.tolist()], ends.tolist(), strict=False):
        item.into.annotations += [annotation for annotation in taken[start:end] if annotation]
        item.into.clipped += int(np.count_nonzero(clipped[start:end]))


def _judge_one(item: Item, found: _Object, number: int) -> tuple[Annotation | None, bool]:
    """The record's object of this number, and whether it was clipped; None, and accounted for, if it is not taken."""
    try:
        taken = _judge(found, item.frame)
    except BrokenError as error:
        data = bytes(raw_objects(msgspec.Raw(item.data))[number])
        item.into.rejected.append(Broken(item.offset, data, error.reason, error.seen))
        return None, False
    if isinstance(taken, str):
        item.into.left_out.append(taken)
        return None, False
    return taken


def object_annotation(data: msgspec.Raw, frame: Frame, synsets: Mapping[str, str]) -> tuple[Annotation, bool] | str:
    """One object as the dataset has it, and whether its box was clipped; or the reason why a rule leaves it out.

    Its box is scaled into the frame, clipped to it and rounded to 0.01 pixels. `synsets` tells its synset by its name
    where it has none. Raises BrokenError for what is malformed, has no area, or lies outside.
    """
    try:
        found = _object.decode(data)
    except JSON_ERRORS:
        found = _decode_any_object(data, synsets)
    return _judge(found, frame)


def _judge(found: _Object, frame: Frame) -> tuple[Annotation, bool] | str:
    if not all(map(math.isfinite, (found.x, found.y, found.w, found.h))):
        raise BrokenError("malformed", "a number too large")
    named = [synset for synset in found.synsets if synset]
    if len(named) != 1:
        return "several_synsets" if named else "no_synset"
    if min(found.w, found.h) <= 0:
        raise BrokenError("zero_size")
    box, clipped = frame.clip(found.x, found.y, found.w, found.h)
    return Annotation(found.object_id, named[0], box, round(box[2] * box[3], 2)), clipped


def _decode_any_object(data: msgspec.Raw, synsets: Mapping[str, str]) -> _Object:
    try:
        found = _any_object.decode(data)
        object_id = either(found.object_id, found.id, "object_id")
    except JSON_ERRORS as error:
        raise BrokenError("malformed", str(error)) from None
    return _Object(object_id, found.x, found.y, found.w, found.h, tuple(_synsets_of(found, synsets)))
