"""Images that COCO-format files list more than once: one file under several ids, one id for several files.

One file is one image, with the objects of all its records. One id for several files of an annotation file names none:
its annotations could belong to any of them. Several exports of one project may each count from 1: those are different
images, and the later ones get new ids.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

import msgspec

from data_prep.sources.counts import Counts, Example, increase
from data_prep.sources.images import SourceImage
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import DataError

_ID_BYTES = 6
_NAMED = 3


@dataclass
class Distinct:
    """The images to use, each once, and those whose id is rejected."""

    images: list[SourceImage] = field(default_factory=list)
    rejected: list[SourceImage] = field(default_factory=list)


def distinct(images: list[SourceImage], names: Sequence[str], counts: Counts) -> Distinct:
    """Settle images that are listed more than once; every record is counted, and so is whatever is not used.

    `names` are the annotation files' paths below their source's folder, by number: new ids depend on them.
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
    settled.images = _renumbered(_one_for_each_file(settled.images, counts), names, counts)
    return settled


def _file_of(image: SourceImage) -> str | tuple[int, int]:
    """The image's file, or a record without one."""
    return image.path or (image.file, image.offset)


def _reject(same: list[SourceImage], settled: Distinct, counts: Counts) -> None:
    names = " and ".join(sorted({image.name for image in same})[:_NAMED])
    for image in same:
        counts.reject_image(image, BrokenError("duplicate_id", f"id {image.id} is listed twice, for {names}"))
    settled.rejected += same


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


def _renumbered(images: list[SourceImage], names: Sequence[str], counts: Counts) -> list[SourceImage]:
    """Give an image a new id, which no other of its source's split has, if an earlier file has its id for another."""
    seen: dict[tuple[str, int], list[SourceImage]] = {}
    before = [_before(image, seen.setdefault((image.source, image.id), [])) for image in images]
    if not any(before):
        return images
    taken = {(image.source, image.split, image.id) for image in images}
    renumbered = []
    for image, other in zip(images, before, strict=True):
        if other is None:
            renumbered.append(image)
            continue
        ids = _new_ids(image, names[image.file])
        number = next(number for number in ids if (image.source, image.split, number) not in taken)
        taken.add((image.source, image.split, number))
        seen_in = f"id: {image.id} is in {other.listed} too"
        example = Example(image.listed, image.offset, "photograph", image.id, seen_in)
        counts.repair(image.source, "id_mapped", example)
        original = image.original_id or str(image.id)
        renumbered.append(msgspec.structs.replace(image, new_id=number, original_id=original, repaired=True))
    return renumbered


def _before(image: SourceImage, others: list[SourceImage]) -> SourceImage | None:
    """The image of its split among the `others`, which have its id and come before it; it becomes one of them."""
    for other in others:
        if image.coco_id is not None or (image.flickr_id is not None and image.flickr_id == other.flickr_id):
            raise DataError(
                f"{image.listed}: image {image.id} is in {other.listed} too; give one release's files, "
                f"as in {image.source}=coco:ANNOTATIONS,IMAGES"
            )
    first = next((other for other in others if other.split == image.split), None)
    others.append(image)
    return first


def _new_ids(image: SourceImage, name: str) -> Iterator[int]:
    """Ids to try for an image of the file `name`, which other files may be called too."""
    for file in chain((name, image.listed), (f"{image.listed}\n{number}" for number in count(1))):
        yield int.from_bytes(hashlib.sha256(f"{file}\n{image.id}".encode()).digest()[:_ID_BYTES])
