"""How images are assigned to shards, and the shards' names and fingerprints."""

import hashlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.metadata import version

import msgspec

from data_prep.format.exif_rule import ExifRule
from data_prep.format.manifest import FORMAT_VERSION
from data_prep.plan.held_out_rule import COCO, TRAIN
from data_prep.plan.listing import Listing
from data_prep.plan.plan import PlannedImage, PlannedShard
from data_prep.storage.storage import absolute

# Readers assign shards to ranks and workers, and shuffle their order: with fewer than 16 some would idle. Shards of
# fewer than 16 images would be mostly overhead, so a dataset below 256 images has fewer.
MIN_SHARDS = 16
MIN_IMAGES_PER_SHARD = 16


def order(key: str) -> bytes:
    """The sort key of images: as good as shuffled, and the same everywhere."""
    return hashlib.sha256(key.encode()).digest()


def assign_to_shards(images: list[PlannedImage], shard_bytes: int) -> list[list[PlannedImage]]:
    """Assign images to shards of one split and part each and of about equal size, by split, part and key order."""
    groups: dict[tuple[str, str], list[PlannedImage]] = {}
    for planned in sorted(images, key=lambda planned: order(planned.merged.key)):
        groups.setdefault((planned.merged.split, planned.merged.part), []).append(planned)
    total = sum(planned.bytes for planned in images)
    wanted = max(-(-total // shard_bytes), min(MIN_SHARDS, len(images) // MIN_IMAGES_PER_SHARD), 1)
    return [shard for name in sorted(groups) for shard in _cut(groups[name], total, wanted)]


def _cut(group: list[PlannedImage], total: int, wanted: int) -> list[list[PlannedImage]]:
    """Cut a split's part into its fraction of all shards, by bytes and in integers: no rounding differs by machine."""
    size = max(sum(planned.bytes for planned in group), 1)
    pieces = max(1, -(-size * wanted // max(total, 1)))
    shards: dict[int, list[PlannedImage]] = {}
    before = 0
    for planned in group:
        shards.setdefault(before * pieces // size, []).append(planned)
        before += planned.bytes
    return list(shards.values())


def name_shards(
    shards: list[list[PlannedImage]], unwritten: list[list[PlannedImage]], listing: Listing, exif: ExifRule
) -> list[PlannedShard]:
    """Give each shard its path and fingerprint, and then those that are not written theirs.

    A training shard of a source other than COCO also depends on the held-out images that its own are compared with.
    The fingerprint is the same however a path is written.
    """
    written = len(shards)
    shards = [*shards, *unwritten]
    files = [msgspec.structs.replace(file, path=absolute(file.path)) for file in listing.files]
    read = msgspec.json.encode((FORMAT_VERSION, version("maskx"), listing.read, files, exif))
    place = cache(absolute)
    placed = ([_placed(planned, place) for planned in images] for images in shards)
    digests = [hashlib.sha256(read + msgspec.json.encode(images)) for images in placed]
    for digest in digests[written:]:
        digest.update(b"unwritten")
    splits = [images[0].merged.split for images in shards]
    held_out = b"".join(digest.digest() for digest, split in zip(digests, splits, strict=True) if split != TRAIN)
    numbers: Counter[tuple[str, str]] = Counter()
    named: list[PlannedShard] = []
    for images, split, digest in zip(shards, splits, digests, strict=True):
        part = images[0].merged.part
        if split == TRAIN and images[0].merged.canonical.source != COCO:
            digest.update(held_out)
        path = f"{split}/{part}-{numbers[split, part]:06d}.tar"
        named.append(PlannedShard(path, split, part, digest.hexdigest(), written=len(named) < written))
        numbers[split, part] += 1
    return named


def _placed(planned: PlannedImage, place: Callable[[str], str]) -> PlannedImage:
    """The image with its copies' folders as `place` writes them."""
    copies = planned.merged.copies
    if all(place(copy.folder) == copy.folder for copy in copies):
        return planned
    copies = tuple([msgspec.structs.replace(copy, folder=place(copy.folder)) for copy in copies])
    return msgspec.structs.replace(planned, merged=msgspec.structs.replace(planned.merged, copies=copies))
