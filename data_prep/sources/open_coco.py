"""Open a file that should be in COCO's format, and say of one that is not what it is."""

from mmap import mmap

import msgspec

from data_prep.sources.json_files import read_items
from data_prep.sources.layout import Layout, open_object
from data_prep.sources.other_kinds import kind_of_annotations
from data_prep.storage.errors import JSON_ERRORS, DataError

_names = msgspec.json.Decoder(dict[str, msgspec.Raw])


def open_coco(path: str) -> tuple[mmap, Layout]:
    """The file's bytes, and where its parts stand; raises DataError if it is not a COCO-format file of objects."""
    buffer, layout = open_object(path, ("images", "annotations"))
    first = next(iter(layout.byte_ranges(0, "annotations")), None)
    if first is not None:
        _, item = next(iter(read_items(buffer, first)))
        try:
            kind = kind_of_annotations(_names.decode(item))
        except JSON_ERRORS:  # a record that is no object: rejected where records are read
            kind = None
        if kind:
            missing = "" if "categories" in layout.members else "has no 'categories'; "
            raise DataError(f"{path}: {missing}it holds {kind}")
    return buffer, layout
