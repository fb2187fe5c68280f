"""Flickr ids that came into a file with a record of COCO's that was copied: they say nothing of the file's images.

Without this, a file of one's own whose images all have a held-out image's `flickr_url` would leave training whole.
"""

from collections import defaultdict

import msgspec

from data_prep.sources.counts import Counts, Example
from data_prep.sources.images import SourceImage

_FEW, _MANY = 4, 16


def without_copied_ids(images: list[SourceImage], counts: Counts) -> list[SourceImage]:
    """The images, without Flickr ids that more than 16 images of an annotation file have, or all of more than 4.

    Fewer may be crops of one photo, and its id is theirs.
    """
    names: dict[tuple[int, int | None], set[str]] = defaultdict(set)
    files: dict[int, set[str]] = defaultdict(set)
    for image in images:
        names[image.file, image.flickr_id].add(image.name)
        files[image.file].add(image.name)
    copied = {
        (file, number)
        for (file, number), own in names.items()
        if number is not None and len(own) > (_FEW if own == files[file] else _MANY)
    }
    return [_without_id(image, counts) if (image.file, image.flickr_id) in copied else image for image in images]


def _without_id(image: SourceImage, counts: Counts) -> SourceImage:
    seen = f"{image.name}: {image.flickr_id}, as {image.listed} has it for many"
    counts.note(image.source, "flickr_id_copied", Example(image.listed, image.offset, "photograph", image.id, seen))
    return msgspec.structs.replace(image, flickr_id=None)
