"""Images that COCO-format files list more than once: one file under several ids, one id for several files.

One file is one image, with the objects of all its records. One id for several files of an annotation file names none:
its annotations could belong to any of them. Several exports of one project may each count from 1: those are different
images, and the later ones get new ids.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field

import msgspec

from data_prep.sources.counts import Counts, Example, increase
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import DataError

_ID_BYTES = 6
_NAMED = 3


@dataclass
class Distinct:
    """The images to use, each once, and one of each id that is rejected."""

    images: list[SourceImage] = field(default_factory=list)
    rejected: list[SourceImage] = field(default_factory=list)


def distinct(images: list[SourceImage], counts: Counts) -> Distinct:
    """Settle images that are listed more than once; every record is counted, and so is whatever is not used.

    Raises DataError for two releases of one data set: the same images in other splits would leak into training.
    """
    by_identity: dict[tuple[int, int], list[SourceImage]] = defaultdict(list)
    for image in images:
        increase(counts.images, image.source)
        by_identity[image.identity].append(image)
    settled = Distinct()
    for same in by_identity.values():
        if len(same) > 1 and len({_file_of(image) for image in same}) > 1:
            _reject(same, settled, counts)
            continue
        settled.images.append(same[0])
        for image in same[1:]:
            counts.exclude_image(image, "same_record")
    settled.images = _renumbered(_one_for_each_file(settled.images, counts), counts)
    return settled


def _file_of(image: SourceImage) -> str | tuple[int, int]:
    """The image's file, or a record without one."""
    return image.path or (image.file, image.offset)


def _reject(same: list[SourceImage], settled: Distinct, counts: Counts) -> None:
    names = " and ".join(sorted({image.name for image in same})[:_NAMED])
    for image in same:
        counts.reject_image(image, BrokenError("duplicate_id", f"id {image.id} is listed twice, for {names}"))
    settled.rejected.append(same[0])


def _one_for_each_file(images: list[SourceImage], counts: Counts) -> list[SourceImage]:
    """Join the records of a source's split that name the same file."""
    found: dict[tuple[str, str, str | tuple[int, int]], SourceImage] = {}
    for image in images:
        key = (image.source, image.split, _file_of(image))
        first = found.setdefault(key, image)
        if first is image:
            continue
        found[key] = msgspec.structs.replace(first, aliases=(*first.aliases, image.identity))
        counts.exclude_image(image, "same_file", f"{image.name} is the file of image {first.id} too")
    return list(found.values())


def _renumbered(images: list[SourceImage], counts: Counts) -> list[SourceImage]:
    """Give an image a new id if an earlier file of its source has its id for another image."""
    seen: dict[tuple[str, int], list[SourceImage]] = {}
    return [_number(image, seen.setdefault((image.source, image.id), []), counts) for image in images]


def _number(image: SourceImage, others: list[SourceImage], counts: Counts) -> SourceImage:
    """The image, with a new id if one of the `others`, which have its id and come before it, is of its split."""
    for other in others:
        if image.coco_id is not None or (image.flickr_id is not None and image.flickr_id == other.flickr_id):
            raise DataError(
                f"{image.listed}: image {image.id} is in {other.listed} too; give one release's files, "
                f"as in {image.source}=coco:ANNOTATIONS,IMAGES"
            )
    taken = next((other for other in others if other.split == image.split), None)
    others.append(image)
    if taken is None:
        return image
    digest = hashlib.sha256(f"{image.listed}\n{image.id}".encode()).digest()
    number = int.from_bytes(digest[:_ID_BYTES])
    example = Example(image.listed, image.offset, "photograph", image.id, f"id: {image.id} is in {taken.listed} too")
    counts.repair(image.source, "id_mapped", example)
    original = image.original_id or str(image.id)
    return msgspec.structs.replace(image, new_id=number, original_id=original, repaired=True)
