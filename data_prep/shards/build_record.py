"""From an image and what the annotation files say of it to its one record in the dataset."""

import msgspec

from data_prep.format.records import Annotation, Record
from data_prep.format.rejects import Reject, excerpt
from data_prep.plan.merge import Photograph
from data_prep.plan.plan import PlannedFile
from data_prep.shards.read_annotations import Annotated
from data_prep.sources.coco import Id
from data_prep.sources.counts import Tally, increase
from data_prep.sources.objects import Broken
from data_prep.storage.errors import JSON_ERRORS


class ShardCounts(msgspec.Struct):
    """What went into a shard: `photographs` and the rest by name; `objects` and `masks` by source and class."""

    what: dict[str, int] = {}
    objects: dict[str, dict[str, int]] = {}
    masks: dict[str, dict[str, int]] = {}

    def add(self, record: Record) -> None:
        """Count a record."""
        increase(self.what, "photographs")
        for source, annotations in record.objects.items():
            masked = [a.category for a in annotations if a.mask is not None]
            _add(self.objects.setdefault(source, {}), [a.category for a in annotations])
            _add(self.masks.setdefault(source, {}), masked)
            increase(self.what, f"{source}_objects", len(annotations))
            increase(self.what, f"{source}_masks", len(masked))
            increase(self.what, f"{source}_crowds", sum([a.iscrowd for a in annotations]))


def _add(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        counts[name] = counts.get(name, 0) + 1


def compose(photograph: Photograph, annotated: list[Annotated], tally: Tally, counts: ShardCounts) -> Record:
    """Unite what the files say by source, in their order. What is not taken goes into the tally with its reason."""
    standing = photograph.images[0]
    objects: dict[str, list[Annotation]] = {image.source: [] for image in photograph.images}
    for found in annotated:
        objects[found.file.source] += found.objects.annotations
        _count(found, tally, counts)
    ids = {image.source: image.id for image in photograph.images}
    negative = {image.source: list(image.negative) for image in photograph.images if image.negative}
    partly = {image.source: list(image.not_exhaustive) for image in photograph.images if image.not_exhaustive}
    composed = Record(photograph.key, standing.width, standing.height, ids, objects, negative, partly)
    counts.add(composed)
    return composed


def _count(found: Annotated, tally: Tally, counts: ShardCounts) -> None:
    source, objects = found.file.source, found.objects
    increase(tally.kept, source, len(objects.annotations))
    increase(counts.what, f"{source}_clipped", objects.clipped)
    for reason in objects.left_out:
        tally.leave_out(source, reason)
    tally.rejects += [_reject(found.file, broken) for broken in objects.rejected]


class _Identity(msgspec.Struct):
    id: Id = -1
    object_id: Id = -1


def _reject(file: PlannedFile, broken: Broken) -> Reject:
    try:
        named = msgspec.json.decode(broken.data, type=_Identity)
        identity = named.id if named.object_id < 0 else named.object_id
    except JSON_ERRORS:
        identity = -1
    begin = excerpt(broken.data)
    seen = excerpt(f"{broken.seen}: {begin}") if broken.seen else begin
    return Reject(file.source, file.label, "object", identity, broken.offset, broken.reason, seen)
