"""LVIS's annotation files: COCO's images again, with masks of 1203 classes, each annotated in some of them only.

They are COCO-format files with three differences. An image has no file name: the end of its `coco_url` names COCO's
folder and file, and its id is COCO's. It lists the classes that were looked for and are not there (`neg_category_ids`),
and those of which not every object is annotated (`not_exhaustive_category_ids`); of any other class nothing is known.
And a category names its synset.
"""

import msgspec

from data_prep.sources.coco import CocoListing, Id, Image, Length, Lists, Number, list_coco, source_image
from data_prep.sources.images import SourceImage
from data_prep.sources.options import CocoFiles


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
    """Read what the file lists, as `list_coco` does; its images name COCO's by `coco_id`."""
    return list_coco(files, number, _read_image)


def _read_image(lists: Lists, data: msgspec.Raw, offset: int) -> SourceImage:
    found = _image.decode(data)
    file_name = "/".join(found.coco_url.split("/")[-2:])
    listed = Image(found.id, found.width, found.height, file_name, found.flickr_url, found.license)
    return msgspec.structs.replace(
        source_image(lists, listed, offset),
        coco_id=found.id,
        negative=_names(found.neg_category_ids, lists),
        not_exhaustive=_names(found.not_exhaustive_category_ids, lists),
    )


def _names(ids: list[int], lists: Lists) -> tuple[str, ...]:
    unknown = [category for category in ids if category not in lists.categories]
    if unknown:
        raise msgspec.ValidationError(f"category {unknown[0]} is not one of the file's")
    return tuple(sorted({lists.categories[category] for category in ids}))
