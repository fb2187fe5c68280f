"""The objects that are known to be in an image: what predictions are matched to."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from data_prep.format.records import Annotation, Record


@dataclass(frozen=True)
class GroundTruth:
    """What is known to be in one image: the objects of the evaluated classes, `labels[i]` of `objects[i]`.

    `labels` are positions in the vocabulary. Crowds are among the objects: a detection on one is ignored.
    `negative` are the classes known to be absent, `not_exhaustive` those of which not every object is annotated: COCO's
    protocol takes every class as exhaustively annotated and uses neither. `listed_id` is the id in the source's file
    (`Record.listed_id`; -1: from no file), which results have.
    """

    image_id: int
    height: int
    width: int
    labels: tuple[int, ...]
    objects: tuple[Annotation, ...]
    negative: frozenset[int] = frozenset()
    not_exhaustive: frozenset[int] = frozenset()
    listed_id: int | str = -1

    @property
    def verified(self) -> frozenset[int]:
        """The classes of which it is known whether they are there."""
        return self.negative.union(self.labels)

    @classmethod
    def of(cls, record: Record, source: str, labels: Mapping[str, int]) -> "GroundTruth":
        """The objects of `source` whose class name is a key of `labels` (the source's name → position). A mask that a
        model made is none: nothing is measured by it."""
        objects = tuple(_drawn(o) for o in record.objects.get(source, []) if o.category in labels)
        numbers = tuple(labels[o.category] for o in objects)
        negative, partly = (
            frozenset(labels[name] for name in names.get(source, []) if name in labels)
            for names in (record.negative, record.not_exhaustive)
        )
        listed = record.listed_id(source)
        return cls(record.ids[source], record.height, record.width, numbers, objects, negative, partly, listed)


def _drawn(a: Annotation) -> Annotation:
    return a if a.provenance is None else msgspec.structs.replace(a, mask=None, provenance=None, mask_score=None)


def fingerprint(ground_truth: Sequence[GroundTruth], names: Sequence[str]) -> str:
    """SHA-256 of the images' ids and objects, with classes by name: equal for two datasets, whatever their vocabularies
    and training images, if their validation records are."""
    digest = hashlib.sha256()
    for image in ground_truth:
        unordered = (sorted(names[i] for i in some) for some in (image.negative, image.not_exhaustive))
        classes = [[names[i] for i in image.labels], *unordered]
        digest.update(msgspec.json.encode([image.image_id, image.height, image.width, classes, image.objects]))
    return digest.hexdigest()
