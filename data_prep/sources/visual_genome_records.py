"""The records of `objects.json`, whichever release of Visual Genome wrote them: their images and synsets.

Every release has its own spelling, and one folder may hold files of several:

- 1.4: `image_id`, `object_id`, `names`, `synsets` (a list of strings), `merged_object_ids`;
- 1.2: the same without `merged_object_ids`;
- 1.0: `id` for images and for objects, `names`, no `synsets`: those are looked up in `object_synsets.json`, which is
  published beside it and maps an object's name to its synset.

Objects in other files of these releases, or from the public API, have a `name` instead of `names`, and synsets as
objects with a `synset_name`; both are read too, and a text in place of a list of one. An object with a list of synsets,
even an empty one, is never looked up by name.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from data_prep.sources.coercions import Id
from data_prep.storage.errors import JSON_ERRORS


class RecordHead(msgspec.Struct, frozen=True):
    """A record's image, its number of objects, and all their synsets."""

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


class _NamedSynset(msgspec.Struct):
    synset_name: str


class AnyObjectHead(msgspec.Struct):
    """An object's synsets in any spelling."""

    synsets: list[str | _NamedSynset] | str | None = None
    names: list[str] | str | None = None
    name: str | None = None


class _AnyHead(msgspec.Struct):
    objects: list[AnyObjectHead]
    image_id: Id | None = None
    id: Any = None


# Releases 1.2 and 1.4 decode straight into what is needed; anything else is tried again in any spelling.
_objects = msgspec.json.Decoder(_Objects)
_record = msgspec.json.Decoder(_Record, strict=False)  # not strict: numbers may be text
_heads = msgspec.json.Decoder(list[_Head])
_any_heads = msgspec.json.Decoder(list[_AnyHead], strict=False)
_any_object_head = msgspec.json.Decoder(AnyObjectHead)


def either_id(present: int | None, early: Any, name: str) -> int:
    """The id under its present name `name`, else the early one; raises msgspec.ValidationError if there is neither."""
    if present is not None:
        return present
    if early is None:
        raise msgspec.ValidationError(f"Object missing required field `{name}` (or `id`)")
    return msgspec.convert(early, Id, strict=False)


def read_heads(data: bytes, synsets: Mapping[str, str]) -> list[RecordHead]:
    """The heads of all records in a JSON array; raises msgspec.DecodeError if one is malformed.

    `synsets` maps an object's name to its synset, for objects that have none.
    """
    try:
        return [
            RecordHead(head.image_id, len(head.objects), [s for item in head.objects for s in item.synsets if s])
            for head in _heads.decode(data)
        ]
    except msgspec.ValidationError:
        return [_record_head(head, synsets) for head in _any_heads.decode(data)]


def read_head(data: msgspec.Raw, synsets: Mapping[str, str]) -> RecordHead:
    """The head of one record. Malformed objects count without synsets; raises msgspec.DecodeError if the record itself
    is malformed."""
    record = _record.decode(data)
    objects = [_lenient_head(item) for item in record.objects]
    return _record_head(_AnyHead(objects, record.image_id, record.id), synsets)


def _lenient_head(item: msgspec.Raw) -> AnyObjectHead:
    try:
        return _any_object_head.decode(item)
    except JSON_ERRORS:
        return AnyObjectHead()


def _record_head(head: _AnyHead, synsets: Mapping[str, str]) -> RecordHead:
    named = [synset for item in head.objects for synset in synsets_of(item, synsets)]
    return RecordHead(either_id(head.image_id, head.id, "image_id"), len(head.objects), named)


def synsets_of(item: AnyObjectHead, synsets: Mapping[str, str]) -> list[str]:
    """The object's synsets, in whichever spelling; a synset that two of its names share counts once."""
    if item.synsets is not None:
        listed = [item.synsets] if isinstance(item.synsets, str) else item.synsets
        named = (synset if isinstance(synset, str) else synset.synset_name for synset in listed)
        return [synset for synset in named if synset]
    names = [item.names] if isinstance(item.names, str) else item.names or []
    names = [*names, *([item.name] if item.name else ())]
    return [synset for synset in dict.fromkeys(synsets.get(plain_name(name), "") for name in names) if synset]


def plain_name(name: str) -> str:
    """An object's name as a key of the synset map."""
    return name.strip().lower()


def lack_synsets(data: bytes) -> bool:
    """Whether the objects in a JSON array of records have names, but none has synsets, not even an empty list."""
    try:
        objects = [item for head in _any_heads.decode(data) for item in head.objects]
    except JSON_ERRORS:
        return False
    return any(item.names or item.name for item in objects) and all(item.synsets is None for item in objects)


def raw_objects(data: bytes) -> list[msgspec.Raw]:
    """The objects of a record that has a head, undecoded."""
    return _objects.decode(data).objects
