"""From an image and its objects in the annotation files to its one record in the dataset."""

import msgspec

from data_prep.format.records import Annotation, Record
from data_prep.format.rejects import Reject, excerpt
from data_prep.plan.merge import MergedImage
from data_prep.plan.plan import PlannedFile
from data_prep.shards.read_annotations import FileAnnotations
from data_prep.sources.box_counts import BoxCounts
from data_prep.sources.coercions import Id
from data_prep.sources.counts import Counts, Example, increase
from data_prep.sources.objects import RejectedObject
from data_prep.sources.reasons import LOST_MASKS
from data_prep.storage.errors import JSON_ERRORS


class ShardContent(msgspec.Struct):
    """Numbers of what a shard holds: `what`, `photographs` and others by name; `objects`, `masks`, `crowds` and
    `object_masks`, masks but for those of crowds, by source and class; `per_image`, by source, how many images have how
    many objects."""

    what: dict[str, int] = {}
    objects: dict[str, dict[str, int]] = {}
    masks: dict[str, dict[str, int]] = {}
    crowds: dict[str, dict[str, int]] = {}
    object_masks: dict[str, dict[str, int]] = {}
    per_image: dict[str, dict[int, int]] = {}

    def add(self, record: Record) -> None:
        """Count a record."""
        increase(self.what, "photographs")
        for source, annotations in record.objects.items():
            images = self.per_image.setdefault(source, {})
            images[len(annotations)] = images.get(len(annotations), 0) + 1
            masked = [a.category for a in annotations if a.mask is not None]
            crowds = [a.category for a in annotations if a.iscrowd]
            _count_names(self.objects.setdefault(source, {}), [a.category for a in annotations])
            _count_names(self.masks.setdefault(source, {}), masked)
            _count_names(self.crowds.setdefault(source, {}), crowds)
            of_one = [a.category for a in annotations if a.mask is not None and not a.iscrowd]
            _count_names(self.object_masks.setdefault(source, {}), of_one)
            increase(self.what, f"{source}_objects", len(annotations))
            increase(self.what, f"{source}_masks", len(masked))
            increase(self.what, f"{source}_crowds", len(crowds))


def _count_names(counts: dict[str, int], names: list[str]) -> None:
    for name in names:
        counts[name] = counts.get(name, 0) + 1


def build_record(
    image: MergedImage,
    annotations: list[FileAnnotations],
    counts: Counts,
    content: ShardContent,
    upright: bool = False,
) -> Record:
    """Join the image's objects by source, in the files' order; those that are not included are counted by reason.

    `upright`: they are meant for the image turned upright.
    """
    objects: dict[str, list[Annotation]] = {copy.source: [] for copy in image.copies}
    for each in annotations:
        objects[each.file.source] += each.objects.annotations
        _count(each, counts, content)
    for copy in image.copies:
        increase(counts.repaired_images, copy.source, int(copy.repaired))
    ids = {copy.source: copy.dataset_id for copy in image.copies}
    original = {copy.source: copy.original_id for copy in image.copies if copy.original_id is not None}
    negative = {copy.source: list(copy.negative) for copy in image.copies if copy.negative}
    partly = {copy.source: list(copy.not_exhaustive) for copy in image.copies if copy.not_exhaustive}
    canonical = image.canonical
    names = {copy.source: copy.name for copy in image.copies}
    size = (canonical.width, canonical.height)
    record = Record(image.key, *size, ids, objects, negative, partly, original, names, upright)
    content.add(record)
    return record


def _count(annotations: FileAnnotations, counts: Counts, content: ShardContent) -> None:
    source, objects = annotations.file.source, annotations.objects
    increase(counts.included, source, len(objects.annotations))
    increase(content.what, f"{source}_clipped", objects.clipped)
    for reason in objects.excluded:
        counts.exclude(source, reason)
    counts.rejects += [_reject(annotations.file, rejected) for rejected in objects.rejected]
    increase(counts.repaired_objects, source, objects.repaired)
    if objects.boxes.number:
        counts.boxes.setdefault(source, BoxCounts()).join(objects.boxes)
    counts.rejects += [
        Reject(source, annotations.file.label, "mask", lost.id, lost.offset, lost.reason, excerpt(lost.seen))
        for lost in objects.repairs
        if lost.reason in LOST_MASKS
    ]
    for add, findings in ((counts.repair, objects.repairs), (counts.note, objects.noted)):
        for finding in findings:
            example = Example(annotations.file.label, finding.offset, "object", finding.id, finding.seen)
            add(source, finding.reason, example)


class _Identity(msgspec.Struct):
    id: Id = -1
    object_id: Id = -1


def _reject(file: PlannedFile, rejected: RejectedObject) -> Reject:
    try:
        named = msgspec.json.decode(rejected.data, type=_Identity)
        identity = named.id if named.object_id < 0 else named.object_id
    except JSON_ERRORS:
        identity = -1
    begin = excerpt(rejected.data)
    text = excerpt(f"{rejected.seen}: {begin}") if rejected.seen else begin
    return Reject(file.source, file.label, "object", identity, rejected.offset, rejected.reason, text)
