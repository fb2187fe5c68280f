"""A shard's images with their objects, read back from references."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from mmap import mmap
from operator import itemgetter

import msgspec
import numpy as np

from data_prep.format.records import Annotation
from data_prep.plan.held_out_rule import COCO
from data_prep.plan.merge import MergedImage
from data_prep.plan.plan import Plan, PlannedFile
from data_prep.shards.locate import REFERENCE, References
from data_prep.sources.coco_annotations import add_coco_annotation
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, ObjectFinding, RawRecord
from data_prep.sources.visual_genome_objects import add_visual_genome_objects

_FILE = itemgetter(list(REFERENCE.fields or ()).index("file"))


@dataclass(frozen=True, slots=True)
class FileAnnotations:
    """An image's objects in one annotation file."""

    file: PlannedFile
    objects: ImageObjects


class ObjectReader:
    """Reads the objects of a plan's images; `buffers` are the mapped annotation files by number."""

    def __init__(self, plan: Plan, buffers: Mapping[int, mmap]) -> None:
        self._files = plan.files
        self._buffers = buffers

    def read(self, image: MergedImage, references: References) -> list[FileAnnotations]:
        """The image's objects by file, in the files' order, on the canonical copy's width and height."""
        transforms = _transforms(image)
        annotations = []
        seen: dict[str, set[tuple[object, ...]]] = {}
        for number, own in groupby(references.tolist(), key=_FILE):
            file, buffer, objects = self._files[number], self._buffers[number], ImageObjects()
            for _, _, offset, length in own:
                record = RawRecord(buffer[offset : offset + length], offset, transforms[file.source], objects)
                if file.kind == "vg":
                    add_visual_genome_objects(record, file.synsets)
                else:
                    add_coco_annotation(record, file.categories)
            if file.made_by:
                objects.annotations = [_marked(annotation, file.made_by) for annotation in objects.annotations]
            if file.source != COCO:  # COCO's own stay, so that AP stays comparable
                leave_out_doubled(objects, seen.setdefault(file.source, set()), file.kind == "vg")
            annotations.append(FileAnnotations(file, objects))
        return annotations


def by_image(references: References, images: int) -> list[References]:
    """A shard's references in any order → those of each image, in the order of files and bytes."""
    references = references[np.lexsort((references["offset"], references["file"], references["position"]))]
    return np.split(references, np.searchsorted(references["position"], np.arange(1, images)))


def leave_out_doubled(objects: ImageObjects, seen: set[tuple[object, ...]], with_ids: bool) -> None:
    """Leave out an object that is another's double but for its id, or `with_ids` its double in all.

    `seen` are the objects of the source's files before this one. Visual Genome's people drew many boxes twice, which
    are its data; the same id says that a record stands twice.
    """
    if with_ids and len({annotation.id for annotation in objects.annotations}) == len(objects.annotations):
        return
    distinct: list[Annotation] = []
    changed: dict[int, list[ObjectFinding]] = {}
    for position, annotation in enumerate(objects.annotations):
        what = (annotation.category, annotation.bbox, annotation.iscrowd, annotation.mask)
        own = (*what, annotation.id) if with_ids else what
        if own in seen:
            objects.excluded.append("doubled")
            continue
        seen.add(own)
        if position in objects.changed:
            changed[len(distinct)] = objects.changed[position]
        distinct.append(annotation)
    objects.annotations, objects.changed = distinct, changed


def _marked(annotation: Annotation, made_by: str) -> Annotation:
    """With the mark of the model that made its mask, unless it has one."""
    if annotation.mask is None or annotation.provenance is not None:
        return annotation
    return msgspec.structs.replace(annotation, provenance=made_by)


def _transforms(image: MergedImage) -> dict[str, CoordinateTransform]:
    """Each source's transform to the canonical copy; COCO-format copies have its size."""
    width, height = image.canonical.width, image.canonical.height
    of_its_file = image.of_its_file
    sized = {copy.source: image.canonical if copy in of_its_file else copy for copy in image.copies}
    return {
        source: CoordinateTransform(width, height, width / max(copy.width, 1), height / max(copy.height, 1))
        for source, copy in sized.items()
    }
