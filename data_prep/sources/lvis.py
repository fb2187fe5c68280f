"""LVIS's annotation files: COCO's images again, with masks of 1203 classes, each annotated in some of them only.

They are COCO-format files with three differences. An image has no file name: the end of its `coco_url` names COCO's
folder and file, and its id is COCO's. It lists the classes that were looked for and are not there (`neg_category_ids`),
and those of which not every object is annotated (`not_exhaustive_category_ids`); of any other class nothing is known.
And a category names its synset.
"""

from typing import Any

import msgspec

from data_prep.sources.coco import (
    CocoListing,
    Image,
    Length,
    Lists,
    Number,
    list_coco,
    read_image,
    read_leniently,
    source_image,
)
from data_prep.sources.coercions import Id, shown, to_id
from data_prep.sources.counts import Example, increase
from data_prep.sources.file_names import name_in_url
from data_prep.sources.images import SourceImage
from data_prep.sources.lenient_annotations import record_fields
from data_prep.sources.options import CocoFiles
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import JSON_ERRORS


class _Image(msgspec.Struct):
    id: Id
    width: Length
    height: Length
    coco_url: str
    flickr_url: str | None = None
    license: Number | None = None
    neg_category_ids: list[int] = []
    not_exhaustive_category_ids: list[int] = []


_image = msgspec.json.Decoder(_Image)


def list_lvis(files: CocoFiles, number: int) -> CocoListing:
    """Read what the file lists, as `list_coco` does; its images name COCO's by `coco_id`, or their own file by
    `file_name`."""
    return list_coco(files, number, _read_image)


def _read_image(lists: Lists, data: msgspec.Raw, offset: int) -> SourceImage:
    try:
        found = _image.decode(data)
    except JSON_ERRORS:
        return _read_leniently(lists, data, offset)
    if not found.coco_url or min(found.width, found.height) < 1:
        return _read_leniently(lists, data, offset)
    name = name_in_url(found.coco_url)
    listed = Image(found.id, found.width, found.height, name, found.flickr_url, found.license)
    image = msgspec.structs.replace(source_image(lists, listed, offset), coco_id=found.id)
    return _with_classes(image, found.neg_category_ids, found.not_exhaustive_category_ids, lists)


def _read_leniently(lists: Lists, data: msgspec.Raw, offset: int) -> SourceImage:
    """An image record that is written in another way than LVIS does, or of an image that is not COCO's: it has a
    `file_name` in place of the `coco_url`."""
    fields = record_fields(data)
    url = fields.get("coco_url")
    if isinstance(url, str) and url:
        image = read_leniently(lists, fields | {"file_name": name_in_url(url)}, offset)
        if image.original_id is None:
            image = msgspec.structs.replace(image, coco_id=image.id)
    elif "file_name" in fields:
        image = read_image(lists, data, offset)
    else:
        raise BrokenError("malformed", f"{shown('coco_url', url)}: coco_url or file_name is needed")
    return _with_classes(image, fields.get("neg_category_ids"), fields.get("not_exhaustive_category_ids"), lists)


def _with_classes(image: SourceImage, negative: Any, not_exhaustive: Any, lists: Lists) -> SourceImage:
    """The image with the classes that are absent, and those that are annotated in part, as the file lists them.

    What is no class of the file is dropped, and counted.
    """
    absent, dropped = _names(negative, lists)
    partly, also_dropped = _names(not_exhaustive, lists)
    if wrong := dropped + also_dropped:
        seen = f"{shown('category', wrong[0])} is not listed"
        example = Example(image.listed, image.offset, "photograph", image.id, seen)
        lists.counts.repair(image.source, "absent_classes", example)
        increase(lists.counts.repaired_images, image.source)
    return msgspec.structs.replace(image, negative=absent, not_exhaustive=partly)


def _names(listed: Any, lists: Lists) -> tuple[tuple[str, ...], list[Any]]:
    """The names of the classes with these ids, and the values that are no class's id. What is no list counts as one
    such value."""
    names: set[str] = set()
    dropped: list[Any] = []
    for value in listed if isinstance(listed, list) else [listed] if listed else []:
        try:
            names.add(lists.categories[to_id("category", value)])
        except (BrokenError, KeyError):
            dropped.append(value)
    return tuple(sorted(names)), dropped
