"""From a photograph and the records that annotate it to its one record in the dataset."""

from collections.abc import Iterator

import msgspec

from data_prep.format.errors import JSON_ERRORS
from data_prep.format.records import Annotation, Record
from data_prep.format.rejects import Reject, excerpt
from data_prep.merge import Photograph
from data_prep.plan import PlannedFile
from data_prep.reasons import BrokenError
from data_prep.sources import coco, visual_genome_objects
from data_prep.sources.images import SourceImage
from data_prep.sources.visual_genome_objects import Frame
from data_prep.tally import Tally, increase


class RawRecord(msgspec.Struct, frozen=True):
    """A record's bytes in an annotation file, and the byte at which it begins there."""

    file: PlannedFile
    offset: int
    data: bytes


class ShardCounts(msgspec.Struct):
    """What went into a shard: `photographs` and the rest by name, and objects and masks by source and class."""

    what: dict[str, int] = {}
    classes: dict[str, dict[str, tuple[int, int]]] = {}

    def add(self, record: Record) -> None:
        """Count a record."""
        increase(self.what, "photographs")
        for source, annotations in record.objects.items():
            increase(self.what, f"{source}_objects", len(annotations))
            increase(self.what, f"{source}_masks", sum(a.mask is not None for a in annotations))
            increase(self.what, f"{source}_crowds", sum(a.iscrowd for a in annotations))
            classes = self.classes.setdefault(source, {})
            for a in annotations:
                objects, masks = classes.get(a.category, (0, 0))
                classes[a.category] = (objects + 1, masks + (a.mask is not None))


def compose(photograph: Photograph, records: list[RawRecord], tally: Tally, counts: ShardCounts) -> Record:
    """Unite the records by source, in the files' order. What cannot be taken goes into the tally with its reason."""
    standing = photograph.images[0]
    objects: dict[str, list[Annotation]] = {image.source: [] for image in photograph.images}
    frames = {image.source: _frame(image, standing) for image in photograph.images}
    for record in records:
        source = record.file.source
        if record.file.kind == "vg":
            taken = _visual_genome_objects(record, frames[source], tally, counts)
        else:
            taken = _coco_object(record, standing, tally)
        objects[source].extend(taken)
    for source, annotations in objects.items():
        increase(tally.kept, source, len(annotations))
    ids = {image.source: image.id for image in photograph.images}
    negative = {image.source: list(image.negative) for image in photograph.images if image.negative}
    partly = {image.source: list(image.not_exhaustive) for image in photograph.images if image.not_exhaustive}
    composed = Record(photograph.key, standing.width, standing.height, ids, objects, negative, partly)
    counts.add(composed)
    return composed


def _frame(image: SourceImage, standing: SourceImage) -> Frame:
    """How the image's coordinates lie on the copy that stands."""
    return Frame(standing.width, standing.height, standing.width / image.width, standing.height / image.height)


def _coco_object(record: RawRecord, image: SourceImage, tally: Tally) -> Iterator[Annotation]:
    try:
        yield coco.annotation(msgspec.Raw(record.data), record.file.categories, image.height, image.width)
    except BrokenError as error:
        tally.rejects.append(_reject(record, record.data, error))


def _visual_genome_objects(record: RawRecord, frame: Frame, tally: Tally, counts: ShardCounts) -> Iterator[Annotation]:
    for item in visual_genome_objects.raw_objects(msgspec.Raw(record.data)):
        try:
            taken = visual_genome_objects.object_annotation(item, frame, record.file.synsets)
        except BrokenError as error:
            tally.rejects.append(_reject(record, bytes(item), error))
            continue
        if isinstance(taken, str):
            tally.leave_out(record.file.source, taken)
            continue
        annotation, clipped = taken
        increase(counts.what, f"{record.file.source}_clipped", int(clipped))
        yield annotation


class _Identity(msgspec.Struct):
    id: coco.Id = -1
    object_id: coco.Id = -1


def _reject(record: RawRecord, data: bytes, error: BrokenError) -> Reject:
    try:
        named = msgspec.json.decode(data, type=_Identity)
        identity = named.id if named.object_id < 0 else named.object_id
    except JSON_ERRORS:
        identity = -1
    seen = excerpt(f"{error.seen}: {excerpt(data)}" if error.seen else data)
    return Reject(record.file.source, record.file.label, "object", identity, record.offset, error.reason, seen)


def count_objects(record: RawRecord) -> int:
    """How many objects a record that was located holds."""
    if record.file.kind != "vg":
        return 1
    return len(visual_genome_objects.raw_objects(msgspec.Raw(record.data)))
