"""COCO-format annotation files: the images and categories that they list, and where their annotations are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from data_prep.format.rejects import Reject, excerpt
from data_prep.sources.categories import Category, count_doubles, read_categories, without_unused_doubles
from data_prep.sources.coercions import Id
from data_prep.sources.counts import Counts, Example, RefusedError, increase, top_rejects
from data_prep.sources.images import SourceImage
from data_prep.sources.json_files import ByteRange, read_items
from data_prep.sources.lenient_annotations import read_category_id, record_fields
from data_prep.sources.lenient_images import file_name, image_id, length, text
from data_prep.sources.open_coco import open_coco
from data_prep.sources.options import CocoFiles
from data_prep.sources.reasons import BrokenError
from data_prep.sources.segmentations import Repair
from data_prep.storage.errors import JSON_ERRORS

Length = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]  # in pixels, as the index can hold it
Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass(frozen=True)
class CocoListing:
    """What a COCO-format file lists; its annotations are still in the file, in `byte_ranges`."""

    categories: tuple[Category, ...]
    images: list[SourceImage]
    byte_ranges: list[ByteRange]
    counts: Counts


@dataclass(frozen=True)
class Lists:
    """What an image record is read with: the file, its number among all, licence texts and class names by id, and what
    is counted on the way."""

    files: CocoFiles
    number: int
    licenses: dict[int, str]
    categories: dict[int, str]
    counts: Counts


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
    """An image record at byte `offset`; raises BrokenError if it is malformed."""
    try:
        image = _image.decode(data)
        if image.width > 0 and image.height > 0:
            return source_image(lists, image, offset)
    except JSON_ERRORS:
        pass
    return read_leniently(lists, record_fields(data), offset)


def read_leniently(lists: Lists, fields: dict[str, Any], offset: int) -> SourceImage:
    """An image record that is written in another way than COCO does."""
    repairs: list[Repair] = []
    number, original = image_id(fields, repairs)
    license_id = fields.get("license")
    image = Image(
        id=number,
        width=length(fields, "width", repairs),
        height=length(fields, "height", repairs),
        file_name=file_name(fields),
        flickr_url=text(fields, "flickr_url"),
        license=license_id if isinstance(license_id, int) else None,
    )
    count_image_repairs(lists, number, offset, repairs)
    return msgspec.structs.replace(source_image(lists, image, offset), original_id=original, repaired=bool(repairs))


def count_image_repairs(lists: Lists, number: int, offset: int, repairs: list[Repair]) -> None:
    """Count what was repaired of the image record of id `number` at byte `offset`."""
    source = lists.files.source
    for reason, seen in repairs:
        lists.counts.repair(source, reason, Example(lists.files.label, offset, "photograph", number, seen))


def list_coco(files: CocoFiles, number: int, read: ReadImage = read_image) -> CocoListing:
    """Read what the file lists; `number` is the file's among all, `read` reads its image records.

    Raises DataError if it is not a COCO-format file, RefusedError if no image can be read.
    """
    path = files.annotations
    buffer, layout = open_coco(path)
    counts = Counts()
    categories = read_categories(files, layout.read(buffer, "categories"), counts)
    licenses = _licenses(layout.read(buffer, "licenses"))
    lists = Lists(files, number, licenses, {c.id: c.name for c in categories}, counts)
    images: list[SourceImage] = []
    for byte_range in layout.byte_ranges(number, "images"):
        for offset, item in read_items(buffer, byte_range):
            try:
                images.append(read(lists, item, offset))
            except BrokenError as error:
                seen = excerpt(f"{error.seen}: {excerpt(bytes(item))}")
                counts.rejects.append(Reject(files.source, files.label, "photograph", -1, offset, "malformed", seen))
    if not images:
        why = f"; {top_rejects(counts.rejects)}" if counts.rejects else ""
        message = f"{path}: lists no images that can be read, so there is nothing to prepare{why}"
        raise RefusedError(message, counts)
    increase(counts.images, files.source, len(counts.rejects))
    byte_ranges = layout.byte_ranges(number, "annotations")
    if len({c.name for c in categories}) < len(categories):
        used = {read_category_id(item) for byte_range in byte_ranges for _, item in read_items(buffer, byte_range)}
        categories = without_unused_doubles(categories, used)
        count_doubles(files, categories, counts)
    return CocoListing(categories, images, byte_ranges, counts)


def _licenses(data: msgspec.Raw | None) -> dict[int, str]:
    """Licence texts by id; a custom file may list them in another form, or not at all."""
    try:
        listed = msgspec.json.decode(data, type=list[_License]) if data else []
    except JSON_ERRORS:
        return {}
    return {item.id: item.url or item.name for item in listed}


def source_image(lists: Lists, image: Image, offset: int) -> SourceImage:
    """An image as all sources list it, by the name that the record gives its file."""
    files = lists.files
    return SourceImage(
        source=files.source,
        file=lists.number,
        id=image.id,
        width=image.width,
        height=image.height,
        split=files.split,
        folder=files.images,
        name=image.file_name,
        listed=files.label,
        offset=offset,
        flickr_id=flickr_id(image.flickr_url),
        license=None if image.license is None else lists.licenses.get(image.license),
    )


def flickr_id(url: str | None) -> int | None:
    """The photo's number in a Flickr URL: the file name up to its first underscore; None where there is none."""
    number = (url or "").rpartition("/")[2].partition("_")[0]
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 19 else None
