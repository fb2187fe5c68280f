"""A shard's images with their objects, read back from references."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from mmap import mmap
from operator import itemgetter

import numpy as np

from data_prep.plan.merge import MergedImage
from data_prep.plan.plan import Plan, PlannedFile, PlannedImage, read_planned_images
from data_prep.shards.locate import REFERENCE, References, unpack
from data_prep.sources.coco_annotations import add_coco_annotation
from data_prep.sources.coordinates import CoordinateTransform
from data_prep.sources.objects import ImageObjects, RawRecord
from data_prep.sources.visual_genome_objects import add_visual_genome_objects

_FILE = itemgetter(list(REFERENCE.fields or ()).index("file"))


@dataclass(frozen=True, slots=True)
class FileAnnotations:
    """An image's objects in one annotation file."""

    file: PlannedFile
    objects: ImageObjects


AnnotatedImage = tuple[PlannedImage, list[FileAnnotations]]


def annotated_images(
    plan: Plan, number: int, packed: Iterable[bytes], buffers: Mapping[int, mmap]
) -> Iterator[AnnotatedImage]:
    """A shard's images in order, each with its objects by file, in the files' order.

    `packed` are the shard's references (`locate.pack`) in any order; see `annotate`.
    """
    return annotate(plan, read_planned_images(plan.out, number), unpack(packed), buffers)


def annotate(
    plan: Plan, images: list[PlannedImage], references: References, buffers: Mapping[int, mmap]
) -> Iterator[AnnotatedImage]:
    """The images, each with the objects of its references; `buffers` are the mapped annotation files by number."""
    references = references[np.lexsort((references["offset"], references["file"], references["position"]))]
    ends = np.searchsorted(references["position"], np.arange(1, len(images) + 1))
    for planned, own in zip(images, np.split(references, ends), strict=False):
        yield planned, _read(plan, planned.merged, own, buffers)


def _read(plan: Plan, image: MergedImage, references: References, buffers: Mapping[int, mmap]) -> list[FileAnnotations]:
    transforms = _transforms(image)
    annotations = []
    for number, own in groupby(references.tolist(), key=_FILE):
        file, buffer, objects = plan.files[number], buffers[number], ImageObjects()
        for _, _, offset, length in own:
            record = RawRecord(buffer[offset : offset + length], offset, transforms[file.source], objects)
            if file.kind == "vg":
                add_visual_genome_objects(record, file.synsets)
            else:
                add_coco_annotation(record, file.categories)
        annotations.append(FileAnnotations(file, objects))
    return annotations


def _transforms(image: MergedImage) -> dict[str, CoordinateTransform]:
    """Each source's transform to the canonical copy; COCO-format copies have its size."""
    width, height = image.canonical.width, image.canonical.height
    return {
        copy.source: CoordinateTransform(width, height, width / copy.width, height / copy.height)
        for copy in image.copies
    }
