"""Before anything is written: list the sources, unite images by image, look for the files, deal out the shards."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.images import MAX_PIXELS
from data_prep.format.manifest import FORMAT_VERSION, HeldOut, Source
from data_prep.format.rejects import Reject
from data_prep.plan.listing import Listing, list_sources
from data_prep.plan.merge import COCO, TRAIN, Photograph, merge
from data_prep.plan.plan import LEFT_OUT, REJECTED, TABLE, Contents, Plan, PlannedPhotograph, PlannedShard
from data_prep.plan.sharding import deal, order
from data_prep.sources.coco import Category
from data_prep.sources.counts import Tally
from data_prep.sources.images import SourceImage
from data_prep.sources.options import SourceFiles
from data_prep.sources.reasons import BrokenError
from data_prep.storage.errors import DataError
from data_prep.storage.storage import FileInfo, finder


@dataclass(frozen=True)
class Planned:
    """A plan and what was counted while making it."""

    plan: Plan
    sources: tuple[Source, ...]
    classes: dict[str, tuple[Category, ...]]
    tally: Tally
    held_out: list[HeldOut]


class Places:
    """Where every image goes, by its annotation file: the tables, row by row."""

    def __init__(self) -> None:
        self._rows: dict[int, array[int]] = {}

    def put(self, images: Iterable[SourceImage], shard: int, photograph: int = 0) -> None:
        """Note that images lead to a shard's image, or to none (LEFT_OUT, REJECTED)."""
        for image in images:
            self._rows.setdefault(image.file, array("q")).extend((image.id, shard, photograph))

    def table(self, file: int) -> npt.NDArray[np.void]:
        """The file's images in order of their ids, dtype TABLE."""
        rows = np.frombuffer(self._rows.get(file, array("q")), np.int64).reshape(-1, 3)
        table = np.zeros(len(rows), TABLE)
        table["id"], table["shard"], table["photograph"] = rows[np.argsort(rows[:, 0])].T
        return table


def make_plan(out: str, sources: list[SourceFiles], shard_bytes: int, limit: int | None) -> tuple[Planned, Contents]:
    """Plan a dataset; raises DataError where a source cannot be read or nothing is left to write."""
    listing = list_sources(sources)
    merged = merge(listing.coco_format, listing.others)
    places = Places()
    for image, reason in merged.left_out:
        listing.tally.leave_out(image.source, reason)
        places.put([image], LEFT_OUT)
    for source, count in merged.unmerged.items():
        if count:
            listing.tally.leave_out(source, "aspect_ratio", count)
    usable = list(_usable(merged.photographs, listing.tally, places))
    shards = deal(_limited(usable, limit, listing.tally, places), shard_bytes)
    if not shards:
        raise DataError(f"{sources[0].folder}: not one image can be used; {top_rejects(listing.tally.rejects)}")
    for number, shard in enumerate(shards):
        for position, planned in enumerate(shard):
            places.put(planned.photograph.images, number, position)
    plan = Plan(out, listing.files, listing.spans, _name_shards(shards, listing))
    contents = Contents(shards, [places.table(number) for number in range(len(listing.files))])
    sources_made_of = _manifest_sources(listing)
    return Planned(plan, sources_made_of, listing.classes, listing.tally, merged.held_out), contents


def _usable(photographs: list[Photograph], tally: Tally, places: Places) -> Iterable[PlannedPhotograph]:
    finders = cache(finder)
    for photograph in photographs:
        try:
            yield _check(photograph, finders)
        except BrokenError as error:
            standing, *copies = photograph.images
            tally.reject_photograph(standing, error)
            for image in copies:
                tally.leave_out(image.source, "copy_rejected")
            places.put(photograph.images, REJECTED)


def _check(photograph: Photograph, finders: Callable[[str], Callable[[str], FileInfo | None]]) -> PlannedPhotograph:
    """Look at the listed sizes and for the file; the pixels are looked at when the shard is written."""
    image = photograph.images[0]
    if min(min(copy.width, copy.height) for copy in photograph.images) < 1:
        raise BrokenError("bad_size", f"{image.width}×{image.height}")
    if image.width * image.height > MAX_PIXELS:
        raise BrokenError("too_large", f"{image.width}×{image.height}")
    if not image.path:
        raise BrokenError("bad_file_name")
    found, *copies = [_find(copy.path, finders) for copy in photograph.images]
    if found is None:
        raise BrokenError("missing_file")
    versions = tuple([copy.version if copy else None for copy in copies])
    return PlannedPhotograph(photograph, found.bytes, found.version, versions)


def _find(path: str, finders: Callable[[str], Callable[[str], FileInfo | None]]) -> FileInfo | None:
    folder, _, name = path.rpartition("/")
    return finders(folder)(name) if name else None


def _limited(
    photographs: list[PlannedPhotograph], limit: int | None, tally: Tally, places: Places
) -> list[PlannedPhotograph]:
    """At most `limit` images of each split, the first in the shards' order."""
    if limit is None:
        return photographs
    taken: list[PlannedPhotograph] = []
    splits: Counter[str] = Counter()
    for planned in sorted(photographs, key=lambda planned: order(planned.photograph.key)):
        splits[planned.photograph.split] += 1
        if splits[planned.photograph.split] <= limit:
            taken.append(planned)
            continue
        for image in planned.photograph.images:
            tally.leave_out(image.source, "beyond_limit")
        places.put(planned.photograph.images, LEFT_OUT)
    return taken


def _name_shards(shards: list[list[PlannedPhotograph]], listing: Listing) -> list[PlannedShard]:
    """A training shard also depends on the held-out images that its own must not be copies of."""
    read = msgspec.json.encode((FORMAT_VERSION, version("maskx"), listing.read, listing.files))
    digests = [hashlib.sha256(read + msgspec.json.encode(photographs)) for photographs in shards]
    splits = [photographs[0].photograph.split for photographs in shards]
    held_out = b"".join(digest.digest() for digest, split in zip(digests, splits, strict=True) if split != TRAIN)
    numbers: Counter[tuple[str, str]] = Counter()
    named = []
    for photographs, split, digest in zip(shards, splits, digests, strict=True):
        part = photographs[0].photograph.part
        if split == TRAIN and photographs[0].photograph.images[0].source != COCO:
            digest.update(held_out)
        fingerprint = digest.hexdigest()
        named.append(PlannedShard(f"{split}/{part}-{numbers[split, part]:06d}.tar", split, part, fingerprint))
        numbers[split, part] += 1
    return named


def _manifest_sources(listing: Listing) -> tuple[Source, ...]:
    kinds = {file.source: file.kind for file in listing.files}
    return tuple(
        Source(name, kind, tuple(listing.read[name]), _exhaustive(kind, listing.classes.get(name, ())))
        for name, kind in kinds.items()
    )


def _exhaustive(kind: str, classes: tuple[Category, ...]) -> tuple[str, ...]:
    """Of COCO-format files all classes; LVIS's are looked for in some images only."""
    return tuple(c.name for c in classes) if kind == "coco" else ()


def top_rejects(rejects: Iterable[Reject]) -> str:
    """The three most frequent reasons, with an example each."""
    rejects = list(rejects)
    texts = []
    for reason, count in Counter(reject.reason for reject in rejects).most_common(3):
        example = min(reject for reject in rejects if reject.reason == reason)
        texts.append(f"{reason} {count}× (as in {example.file}: {example.kind} {example.id})")
    return ", ".join(texts)
