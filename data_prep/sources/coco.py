"""COCO-format annotation files: images, categories and annotations, with the numbers that the file has."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import Annotated

import msgspec

from data_prep.format.records import Annotation
from data_prep.format.rejects import Reject, excerpt
from data_prep.format.rle import mask_area
from data_prep.sources.images import SourceImage, side
from data_prep.sources.json_files import Span, map_file, read_span
from data_prep.sources.layout import Layout, object_layout
from data_prep.sources.masks import Segmentation, to_rle
from data_prep.sources.objects import Broken, Item
from data_prep.sources.options import CocoFiles
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import JSON_ERRORS, DataError

Id = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Length = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]  # in pixels, as the index can hold it
Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Category(msgspec.Struct, frozen=True):
    """A class as the file lists it; `synset` says what it means, if the file does."""

    id: Id
    name: Annotated[str, msgspec.Meta(min_length=1)]
    synset: str | None = None


@dataclass(frozen=True)
class CocoListing:
    """What a COCO-format file lists; its annotations are still in the file, in `spans`."""

    categories: tuple[Category, ...]
    images: list[SourceImage]
    spans: list[Span]
    rejects: list[Reject]


@dataclass(frozen=True)
class Lists:
    """What an image record is read with: the file, its number among all, licence texts and class names by id."""

    files: CocoFiles
    number: int
    licenses: dict[int, str]
    categories: dict[int, str]


ReadImage = Callable[[Lists, msgspec.Raw, int], SourceImage]


class _License(msgspec.Struct):
    id: int
    name: str = ""
    url: str = ""


class Image(msgspec.Struct):
    """An image as the file lists it."""

    id: Id
    width: Length
    height: Length
    file_name: str
    flickr_url: str | None = None
    license: Number | None = None


class _Head(msgspec.Struct):
    image_id: Id


class _Annotation(msgspec.Struct, gc=False):
    id: Id
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    segmentation: Segmentation = None


_image = msgspec.json.Decoder(Image)
_head = msgspec.json.Decoder(_Head)
_heads = msgspec.json.Decoder(list[_Head])
_annotation = msgspec.json.Decoder(_Annotation)


def read_image(lists: Lists, data: msgspec.Raw, offset: int) -> SourceImage:
    """An image record at byte `offset`; raises msgspec.DecodeError if it is malformed."""
    return source_image(lists, _image.decode(data), offset)


def list_coco(files: CocoFiles, number: int, read: ReadImage = read_image) -> CocoListing:
    """Read what the file lists; `number` is the file's among all, `read` reads its image records.

    Raises DataError if it is not a COCO-format file.
    """
    path = files.annotations
    buffer = map_file(path)
    layout = coco_layout(path, buffer)
    categories = _categories(path, layout.read(buffer, "categories"))
    licenses = _licenses(layout.read(buffer, "licenses"))
    lists = Lists(files, number, licenses, {c.id: c.name for c in categories})
    images: list[SourceImage] = []
    rejects: list[Reject] = []
    for span in layout.spans(number, "images"):
        for offset, item in read_span(buffer, span):
            try:
                images.append(read(lists, item, offset))
            except JSON_ERRORS as error:
                seen = excerpt(f"{error}: {excerpt(bytes(item))}")
                rejects.append(Reject(files.source, files.label, "photograph", -1, offset, "malformed", seen))
    if not images:
        raise DataError(f"{path}: lists no images that can be read, so there is nothing to prepare")
    return CocoListing(categories, images, layout.spans(number, "annotations"), rejects)


def coco_layout(path: str, buffer: mmap) -> Layout:
    """Where the parts of the file stand; raises DataError if it is not a COCO-format file."""
    return object_layout(path, buffer, ("images", "annotations"))


def _licenses(data: msgspec.Raw | None) -> dict[int, str]:
    """Licence texts by id; a file of one's own may list them in another form, or not at all."""
    try:
        listed = msgspec.json.decode(data, type=list[_License]) if data else []
    except JSON_ERRORS:
        return {}
    return {item.id: item.url or item.name for item in listed}


def _categories(path: str, data: msgspec.Raw | None) -> tuple[Category, ...]:
    if data is None:
        raise DataError(f"{path}: has no 'categories'; is it the right file?")
    try:
        categories = msgspec.json.decode(data, type=list[Category])
    except JSON_ERRORS as error:
        raise DataError(f"{path}: its categories need an id and a name each ({error})") from None
    if not categories or len({c.id for c in categories}) < len(categories):
        raise DataError(f"{path}: lists no categories, or one id for two of them")
    return tuple(sorted(categories, key=lambda c: c.id))


def source_image(lists: Lists, image: Image, offset: int) -> SourceImage:
    """An image as all sources list it; its path is empty where the file name leads out of the image folder."""
    files = lists.files
    name = image.file_name
    leads_out = not name or name.startswith("/") or ".." in name.split("/") or "\0" in name
    return SourceImage(
        source=files.source,
        file=lists.number,
        id=image.id,
        width=side(image.width),
        height=side(image.height),
        split=files.split,
        folder=files.images,
        name="" if leads_out else name,
        listed=files.label,
        offset=offset,
        flickr_id=flickr_id(image.flickr_url),
        license=None if image.license is None else lists.licenses.get(image.license),
    )


def flickr_id(url: str | None) -> int | None:
    """The photo's number in a Flickr URL: the file name up to its first underscore; None where there is none."""
    number = (url or "").rpartition("/")[2].partition("_")[0]
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 19 else None


def annotation_image_ids(data: bytes) -> list[int]:
    """The image of every annotation in a JSON array of them; raises msgspec.DecodeError if one lacks it."""
    return [head.image_id for head in _heads.decode(data)]


def annotation_image_id(data: msgspec.Raw) -> int:
    """The image of one annotation; raises msgspec.DecodeError if it lacks it."""
    return _head.decode(data).image_id


def take(items: list[Item], categories: dict[int, str]) -> None:
    """Put each annotation where it goes. The numbers stay verbatim.

    What is malformed or has no area is rejected. Where the file gives no area, it is the mask's, or the box's without a
    mask.
    """
    for item in items:
        try:
            found = _judged(item.data, categories)
            mask = to_rle(found.segmentation, (item.frame.height, item.frame.width))
        except BrokenError as error:
            item.into.rejected.append(Broken(item.offset, item.data, error.reason, error.seen))
            continue
        category, area = categories[found.category_id], found.area
        if area is None:
            area = mask_area(mask) if mask else found.bbox[2] * found.bbox[3]
        item.into.annotations.append(Annotation(found.id, category, found.bbox, area, found.iscrowd, mask))


def _judged(data: bytes, categories: dict[int, str]) -> _Annotation:
    """One annotation of the file, all but its mask judged; raises BrokenError."""
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
