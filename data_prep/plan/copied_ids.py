"""Flickr ids that came into a file with a record of COCO's that was copied: they say nothing of the file's images.

Without this, a file of one's own whose images all have a held-out image's `flickr_url` would leave training whole.
"""

from collections import defaultdict

import msgspec

from data_prep.sources.counts import Counts, Example
from data_prep.sources.images import SourceImage


def without_copied_ids(images: list[SourceImage], counts: Counts) -> list[SourceImage]:
    """The images, without the Flickr id that all images of an annotation file share if these are of several files."""
    ids: dict[int, set[int | None]] = defaultdict(set)
    names: dict[int, set[str]] = defaultdict(set)
    for image in images:
        ids[image.file].add(image.flickr_id)
        names[image.file].add(image.name)
    copied = {file for file, own in ids.items() if len(own) == 1 and own != {None} and len(names[file]) > 1}
    return [_without_id(image, counts) if image.file in copied else image for image in images]


def _without_id(image: SourceImage, counts: Counts) -> SourceImage:
    seen = f"{image.name}: {image.flickr_id}, as all of {image.listed}"
    counts.note(image.source, "flickr_id_copied", Example(image.listed, image.offset, "photograph", image.id, seen))
    return msgspec.structs.replace(image, flickr_id=None)
