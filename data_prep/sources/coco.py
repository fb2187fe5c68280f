"""COCO-format annotation files: the images and categories that they list, and where their annotations are."""

from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import Annotated

import msgspec

from data_prep.format.rejects import Reject, excerpt
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import ByteRange, map_file, read_items
from data_prep.sources.layout import Layout, object_layout
from data_prep.sources.options import CocoFiles
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
    """What a COCO-format file lists; its annotations are still in the file, in `byte_ranges`."""

    categories: tuple[Category, ...]
    images: list[SourceImage]
    byte_ranges: list[ByteRange]
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


_image = msgspec.json.Decoder(Image)


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
    for byte_range in layout.byte_ranges(number, "images"):
        for offset, item in read_items(buffer, byte_range):
            try:
                images.append(read(lists, item, offset))
            except JSON_ERRORS as error:
                seen = excerpt(f"{error}: {excerpt(bytes(item))}")
                rejects.append(Reject(files.source, files.label, "photograph", -1, offset, "malformed", seen))
    if not images:
        raise DataError(f"{path}: lists no images that can be read, so there is nothing to prepare")
    return CocoListing(categories, images, layout.byte_ranges(number, "annotations"), rejects)


def coco_layout(path: str, buffer: mmap) -> Layout:
    """Where the parts of the file stand; raises DataError if it is not a COCO-format file."""
    return object_layout(path, buffer, ("images", "annotations"))


def _licenses(data: msgspec.Raw | None) -> dict[int, str]:
    """Licence texts by id; a custom file may list them in another form, or not at all."""
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
        width=image.width,
        height=image.height,
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
