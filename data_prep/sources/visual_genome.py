"""Visual Genome's files: `image_data.json`, and `objects.json` with the objects of each image."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from data_prep.format.errors import JSON_ERRORS, DataError
from data_prep.format.records import Annotation
from data_prep.format.rejects import Reject, excerpt
from data_prep.format.storage import FileInfo, finder, is_folder
from data_prep.reasons import BrokenError
from data_prep.sources.coco import Id
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import Span, array, map_file, read_span, spans
from data_prep.sources.options import VisualGenomeFolder

PHOTOGRAPH_FOLDERS = ("VG_100K", "VG_100K_2")


@dataclass(frozen=True)
class VisualGenomeListing:
    """What `image_data.json` lists; the objects are still in `objects.json`, in `spans`."""

    images: list[SourceImage]
    spans: list[Span]
    rejects: list[Reject]


class _Image(msgspec.Struct):
    image_id: Id
    width: int
    height: int
    coco_id: int | None = None
    flickr_id: int | None = None


class _ObjectHead(msgspec.Struct):
    synsets: list[str] = []


class ImageHead(msgspec.Struct):
    """Which image a record of `objects.json` is of, and how often each of its objects' synsets is named."""

    image_id: Id
    objects: list[_ObjectHead]


class ImageObjects(msgspec.Struct):
    """A record of `objects.json`, its objects still undecoded."""

    image_id: Id
    objects: list[msgspec.Raw]


class _Object(msgspec.Struct):
    object_id: Id
    x: float
    y: float
    w: float
    h: float
    synsets: list[str] = []


_image = msgspec.json.Decoder(_Image)
_heads = msgspec.json.Decoder(list[ImageHead])
_object_head = msgspec.json.Decoder(_ObjectHead)
_record = msgspec.json.Decoder(ImageObjects)
_object = msgspec.json.Decoder(_Object)


def list_visual_genome(folder: VisualGenomeFolder, number: int) -> VisualGenomeListing:
    """Read what the folder lists; `number` is the number of `objects.json` among all annotation files."""
    if not any(is_folder(f"{folder.folder}/{name}") for name in PHOTOGRAPH_FOLDERS):
        raise DataError(f"{folder.folder}: has neither VG_100K/ nor VG_100K_2/ with the photographs")
    path = f"{folder.folder}/image_data.json"
    buffer = map_file(path)
    find = finder(folder.folder)
    images: list[SourceImage] = []
    rejects: list[Reject] = []
    for span in spans(number, buffer, array(path, buffer, "of images")):
        for offset, item in read_span(buffer, span)[1]:
            try:
                images.append(_source_image(folder, number, _image.decode(item), offset, find))
            except JSON_ERRORS as error:
                seen = excerpt(f"{error}: {excerpt(bytes(item))}")
                rejects.append(Reject(folder.source, "image_data.json", "photograph", -1, offset, "malformed", seen))
    if not images:
        raise DataError(f"{path}: lists no images that can be read, so there is nothing to prepare")
    path = f"{folder.folder}/objects.json"
    buffer = map_file(path)
    return VisualGenomeListing(images, list(spans(number, buffer, array(path, buffer, "of images"))), rejects)


def _source_image(
    folder: VisualGenomeFolder, number: int, image: _Image, offset: int, find: Callable[[str], FileInfo | None]
) -> SourceImage:
    places = [f"{name}/{image.image_id}.jpg" for name in PHOTOGRAPH_FOLDERS]
    return SourceImage(
        source=folder.source,
        file=number,
        id=image.image_id,
        width=image.width,
        height=image.height,
        split="train",
        path=f"{folder.folder}/{next(filter(find, places), places[0])}",
        listed="image_data.json",
        offset=offset,
        coco_id=image.coco_id,
        flickr_id=image.flickr_id,
    )


def image_heads(data: bytes) -> list[ImageHead]:
    """Every record's image and synsets in a JSON array of records; raises msgspec.DecodeError if one is malformed."""
    return _heads.decode(data)


def image_objects(data: msgspec.Raw | memoryview) -> ImageObjects:
    """One record, its objects undecoded; raises msgspec.DecodeError if it is malformed."""
    return _record.decode(data)


def head_of(data: msgspec.Raw) -> ImageHead:
    """One record's head, reading over malformed objects; raises msgspec.DecodeError if the record itself is so."""
    record = _record.decode(data)
    return ImageHead(record.image_id, [_lenient_head(item) for item in record.objects])


def _lenient_head(item: msgspec.Raw) -> _ObjectHead:
    try:
        return _object_head.decode(item)
    except JSON_ERRORS:
        return _ObjectHead()


@dataclass(frozen=True)
class Frame:
    """Where Visual Genome's coordinates lie in a photograph of `width` × `height` pixels: scaled by `x` and `y`."""

    width: int
    height: int
    x: float = 1.0
    y: float = 1.0


def object_annotation(data: msgspec.Raw, frame: Frame) -> tuple[Annotation, bool] | str:
    """One object as the dataset has it, and whether its box was clipped; or the reason why a rule leaves it out.

    Its box is scaled into the frame, clipped to it and rounded to 0.01 pixels. Raises BrokenError for what is
    malformed, has no area, or lies outside.
    """
    try:
        found = _object.decode(data)
    except JSON_ERRORS as error:
        raise BrokenError("malformed", str(error)) from None
    if not all(map(math.isfinite, (found.x, found.y, found.w, found.h))):
        raise BrokenError("malformed", "a number too large")
    synsets = [synset for synset in found.synsets if synset]
    if len(synsets) != 1:
        return "several_synsets" if synsets else "no_synset"
    if min(found.w, found.h) <= 0:
        raise BrokenError("zero_size")
    box, clipped = _clip(found, frame)
    return Annotation(found.object_id, synsets[0], box, round(box[2] * box[3], 2)), clipped


def _clip(found: _Object, frame: Frame) -> tuple[tuple[float, float, float, float], bool]:
    left, right = round(found.x * frame.x, 2), round((found.x + found.w) * frame.x, 2)
    top, bottom = round(found.y * frame.y, 2), round((found.y + found.h) * frame.y, 2)
    if right <= left or bottom <= top:
        raise BrokenError("zero_size")
    inside = (max(left, 0.0), max(top, 0.0), min(right, float(frame.width)), min(bottom, float(frame.height)))
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        raise BrokenError("outside_image")
    box = (inside[0], inside[1], round(inside[2] - inside[0], 2), round(inside[3] - inside[1], 2))
    return box, inside != (left, top, right, bottom)
