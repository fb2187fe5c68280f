"""Open a file that should be in COCO's format, and say of one that is not what it is."""

from mmap import mmap

import msgspec

from data_prep.sources.broken_json import MisshapenError
from data_prep.sources.json_files import read_items
from data_prep.sources.layout import Layout, open_object
from data_prep.sources.unsupported_files import kind_of_annotations
from data_prep.storage.errors import JSON_ERRORS, DataError

_LOOKED_AT = 16
_FILES = {"file_name", "coco_url"}  # LVIS has the latter
_names = msgspec.json.Decoder(dict[str, msgspec.Raw])


def open_coco(path: str) -> tuple[mmap, Layout]:
    """The file's bytes, and where its parts stand.

    Raises DataError if it is not a COCO-format file of objects: MisshapenError if it has images and annotations that
    are written in another way.
    """
    buffer, layout = open_object(path, ("images", "annotations"))
    annotations, images = (_first_records(buffer, layout, name) for name in ("annotations", "images"))
    if annotations and (kind := kind_of_annotations(annotations[0])):
        missing = "" if "categories" in layout.members else "has no 'categories'; "
        raise DataError(f"{path}: {missing}it holds {kind}")
    if images and not any(_FILES & names.keys() for names in images):
        has = ", ".join(map(repr, images[0]))
        raise MisshapenError(f"{path}: its image records have no 'file_name', but {has}; name the field so")
    return buffer, layout


def _first_records(buffer: mmap, layout: Layout, name: str) -> list[dict[str, msgspec.Raw]]:
    """The first records of an array; none if one is no object, as it is rejected where all are read."""
    first = next(iter(layout.byte_ranges(0, name)), None)
    try:
        return [_names.decode(item) for item in read_items(buffer, first).raw[:_LOOKED_AT]] if first else []
    except JSON_ERRORS:
        return []
