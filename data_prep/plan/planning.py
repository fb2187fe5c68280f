"""Make the plan before anything is written: list the sources, merge images, find their files, assign them to shards."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from data_prep.format.images import MAX_PIXELS
from data_prep.format.manifest import HeldOut, Source
from data_prep.plan.listing import list_sources
from data_prep.plan.merge import MergedImage, merge
from data_prep.plan.plan import Contents, Plan, PlannedImage
from data_prep.plan.sharding import assign_to_shards, name_shards, order
from data_prep.plan.tables import EXCLUDED, REJECTED, ImageTables
from data_prep.sources.categories import Category
from data_prep.sources.counts import Counts, RefusedError, top_rejects
from data_prep.sources.options import SourceFiles
from data_prep.sources.reasons import BrokenError
from data_prep.storage.storage import FileInfo, finder

FindFile = Callable[[str], FileInfo | None]


@dataclass(frozen=True)
class Planned:
    """A plan and what was counted while making it."""

    plan: Plan
    sources: tuple[Source, ...]
    classes: dict[str, tuple[Category, ...]]
    counts: Counts
    held_out: list[HeldOut]


def make_plan(out: str, sources: list[SourceFiles], shard_bytes: int, limit: int | None) -> tuple[Planned, Contents]:
    """Plan a dataset; raises DataError if a source cannot be read, RefusedError if no image is left to write."""
    listing = list_sources(sources)
    counts = listing.counts
    merged = merge(listing.coco_format, listing.others)
    tables = ImageTables()
    tables.add(listing.rejected, REJECTED)
    for image, reason in merged.excluded:
        counts.exclude_image(image, reason)
        tables.add([image], EXCLUDED)
    for source, number in merged.unmerged.items():
        if number:
            counts.exclude(source, "aspect_ratio", number)
    usable = list(_usable(merged.images, counts, tables))
    shards = assign_to_shards(_limited(usable, limit, counts, tables), shard_bytes)
    if not shards:
        message = f"{sources[0].folder}: not one image can be used; {top_rejects(counts.rejects)}"
        raise RefusedError(message, counts)
    for number, shard in enumerate(shards):
        for position, planned in enumerate(shard):
            tables.add(planned.merged.copies, number, position)
    plan = Plan(out, listing.files, listing.byte_ranges, name_shards(shards, listing))
    contents = Contents(shards, [tables.table(number) for number in range(len(listing.files))])
    return Planned(plan, listing.manifest_sources(), listing.classes, counts, merged.held_out), contents


def _usable(images: list[MergedImage], counts: Counts, tables: ImageTables) -> Iterable[PlannedImage]:
    finders = cache(finder)
    for image in images:
        try:
            yield _check(image, finders)
        except BrokenError as error:
            counts.reject_image(image.canonical, error)
            for copy in image.copies[1:]:
                counts.exclude(copy.source, "copy_rejected")
            tables.add(image.copies, REJECTED)


def _check(image: MergedImage, finders: Callable[[str], FindFile]) -> PlannedImage:
    """Check the listed sizes and find the file; its pixels are checked when the shard is written."""
    canonical = image.canonical
    if min(min(copy.width, copy.height) for copy in image.copies) < 1 and len(image.copies) > 1:
        raise BrokenError("bad_size", f"{canonical.width}×{canonical.height}")
    if canonical.width * canonical.height > MAX_PIXELS:
        raise BrokenError("too_large", f"{canonical.width}×{canonical.height}")
    if not canonical.path:
        raise BrokenError("bad_file_name")
    found, *others = [_find(copy.path, finders) for copy in image.copies]
    if found is None:
        raise BrokenError("missing_file")
    versions = tuple([other.version if other else None for other in others])
    return PlannedImage(image, found.bytes, found.version, versions)


def _find(path: str, finders: Callable[[str], FindFile]) -> FileInfo | None:
    folder, _, name = path.rpartition("/")
    return finders(folder)(name) if name else None


def _limited(images: list[PlannedImage], limit: int | None, counts: Counts, tables: ImageTables) -> list[PlannedImage]:
    """At most `limit` images of each split, the first in the shards' order."""
    if limit is None:
        return images
    chosen: list[PlannedImage] = []
    splits: Counter[str] = Counter()
    for planned in sorted(images, key=lambda planned: order(planned.merged.key)):
        splits[planned.merged.split] += 1
        if splits[planned.merged.split] <= limit:
            chosen.append(planned)
            continue
        for copy in planned.merged.copies:
            counts.exclude(copy.source, "beyond_limit")
        tables.add(planned.merged.copies, EXCLUDED)
    return chosen
