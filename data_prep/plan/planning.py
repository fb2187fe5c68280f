"""Make the plan before anything is written: list the sources, merge images, find their files, assign them to shards."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from data_prep.format.exif_rule import ExifRule
from data_prep.format.images import MAX_PIXELS
from data_prep.format.manifest import HeldOut, Source
from data_prep.plan.held_out_ids import without_held_out_ids
from data_prep.plan.held_out_rule import TRAIN, is_kept
from data_prep.plan.image_files import ImageFiles, count_repair, place, record_of
from data_prep.plan.listing import Listing, list_sources
from data_prep.plan.merge import MergedImage, has_size, merge
from data_prep.plan.plan import Contents, Plan, PlannedImage
from data_prep.plan.sharding import assign_to_shards, name_shards, order
from data_prep.plan.tables import EXCLUDED, REJECTED, ImageTables
from data_prep.sources.categories import Category
from data_prep.sources.counts import Counts, RefusedError, top_rejects
from data_prep.sources.file_names import FoundFile
from data_prep.sources.json_files import has_quoted_constants
from data_prep.sources.options import SourceFiles
from data_prep.sources.reasons import BrokenError


@dataclass(frozen=True)
class Planned:
    """A plan and what was counted while making it."""

    plan: Plan
    sources: tuple[Source, ...]
    classes: dict[str, tuple[Category, ...]]
    counts: Counts
    held_out: list[HeldOut]


def make_plan(
    out: str, sources: list[SourceFiles], shard_bytes: int, limit: int | None, exif: ExifRule = "auto"
) -> tuple[Planned, Contents]:
    """Plan a dataset; raises DataError if a source cannot be read, RefusedError if no image is left to write."""
    image_files = ImageFiles()
    listing = list_sources(sources, image_files)
    counts = listing.counts
    rejected = [MergedImage(f"{image.source}-{image.split}", (image,)) for image in listing.rejected]
    merged = without_held_out_ids(merge(listing.coco_format, listing.others), rejected)
    tables = ImageTables()
    tables.add({image.identity: image for image in listing.rejected}.values(), REJECTED)
    for image, reason in merged.excluded:
        counts.exclude_image(image, reason)
        tables.add([image], EXCLUDED)
    for source, number in merged.unmerged.items():
        if number:
            counts.exclude(source, "aspect_ratio", number)
    usable, broken = _usable(merged.images, image_files, listing, tables)
    chosen, beyond = _limited(usable, limit)
    compared = _compared([*beyond, *_rejected([*rejected, *broken], image_files)], chosen)
    _exclude(beyond, compared, counts, tables)
    shards, unwritten = assign_to_shards(chosen, shard_bytes), assign_to_shards(compared, shard_bytes)
    if not shards:
        names = " and ".join(dict.fromkeys(files.source for files in sources))
        message = f"source {names}: not one image can be used; {top_rejects(counts.rejects)}"
        raise RefusedError(message, counts)
    for number, shard in enumerate(shards):
        for position, planned in enumerate(shard):
            tables.add(planned.merged.copies, number, position)
    files = [msgspec.structs.replace(file, quoted=has_quoted_constants(file.path)) for file in listing.files]
    plan = Plan(out, files, listing.byte_ranges, name_shards(shards, unwritten, listing, exif), exif=exif)
    contents = Contents([*shards, *unwritten], [tables.table(number) for number in range(len(listing.files))])
    return Planned(plan, listing.manifest_sources(), listing.classes, counts, merged.held_out), contents


def _usable(
    images: list[MergedImage], files: ImageFiles, listing: Listing, tables: ImageTables
) -> tuple[list[PlannedImage], list[MergedImage]]:
    """The images whose sizes and files are good, their pixels are checked when the shard is written; and those of which
    the size is not."""
    usable: list[PlannedImage] = []
    broken: list[MergedImage] = []
    lost: dict[tuple[int, int], MergedImage] = {}
    counts, located = listing.counts, listing.located
    for image in images:
        record = record_of(image.canonical)
        try:
            _check_size(image)
        except BrokenError as error:
            _reject(image, error, counts, tables)
            broken.append(image)
            continue
        if record in located.lost:
            _reject(image, located.lost[record], counts, tables)
        elif found := files.as_written(image.canonical):
            if record in located.by_rule:
                count_repair(counts, image.canonical, *located.by_rule[record])
            usable.append(_planned(image, found, files))
        else:
            lost[image.canonical.identity] = image
    canonical = [image.canonical for image in lost.values()]
    as_written = (planned.merged.canonical for planned in usable[:])
    for listed, found_file in files.search(canonical, as_written):
        image = lost[listed.identity]
        if isinstance(found_file, BrokenError):
            _reject(image, found_file, counts, tables)
            continue
        count_repair(counts, listed, listed.name, found_file)
        copies = (place(listed, found_file), *image.copies[1:])
        usable.append(_planned(msgspec.structs.replace(image, copies=copies), found_file, files))
    return usable, broken


def _reject(image: MergedImage, error: BrokenError, counts: Counts, tables: ImageTables) -> None:
    counts.reject_image(image.canonical, error)
    for copy in image.copies[1:]:
        counts.exclude(copy.source, "copy_rejected")
    tables.add(image.copies, REJECTED)


def _check_size(image: MergedImage) -> None:
    canonical = image.canonical
    others = [copy for copy in image.copies if copy.path != canonical.path]
    if others and not all(map(has_size, (canonical, *others))):
        raise BrokenError("bad_size", f"{canonical.width}×{canonical.height}")
    if canonical.width * canonical.height > MAX_PIXELS:
        raise BrokenError("too_large", f"{canonical.width}×{canonical.height}")


def _planned(image: MergedImage, found: FoundFile, files: ImageFiles) -> PlannedImage:
    others = [files.as_written(copy) for copy in image.copies[1:]]
    versions = tuple([other.info.version if other else None for other in others])
    return PlannedImage(image, found.info.bytes, found.info.version, versions)


def _rejected(images: list[MergedImage], files: ImageFiles) -> Iterator[PlannedImage]:
    """The rejected images that are held out and have a file, of which no training image may be a copy."""
    for image in images:
        if image.split != TRAIN and (found := files.as_written(image.canonical)):
            yield msgspec.structs.replace(_planned(image, found, files), rejected=True)


def _limited(images: list[PlannedImage], limit: int | None) -> tuple[list[PlannedImage], list[PlannedImage]]:
    """At most `limit` images of each split, the first in the shards' order, and those beyond."""
    if limit is None:
        return images, []
    chosen: list[PlannedImage] = []
    beyond: list[PlannedImage] = []
    splits: Counter[str] = Counter()
    for planned in sorted(images, key=lambda planned: order(planned.merged.key)):
        splits[planned.merged.split] += 1
        (chosen if splits[planned.merged.split] <= limit else beyond).append(planned)
    return chosen, beyond


def _compared(beyond: list[PlannedImage], chosen: list[PlannedImage]) -> list[PlannedImage]:
    """The held-out images, of those that are not written, with which chosen training images are compared."""
    training = {planned.merged.canonical.source for planned in chosen if planned.merged.split == TRAIN}
    held_out = (planned for planned in beyond if planned.merged.split != TRAIN)
    return [each for each in held_out if not all(is_kept(name, each.merged.canonical.source) for name in training)]


def _exclude(beyond: list[PlannedImage], compared: list[PlannedImage], counts: Counts, tables: ImageTables) -> None:
    """Exclude the images beyond the limit; those that are compared are counted when they are read."""
    read_later = {planned.merged.canonical.identity for planned in compared}
    for planned in beyond:
        tables.add(planned.merged.copies, EXCLUDED)
        if planned.merged.canonical.identity not in read_later:
            for copy in planned.merged.copies:
                counts.exclude(copy.source, "beyond_limit")
