"""A shard's images with what the annotation files say of them: read back from references, many at a time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from mmap import mmap
from operator import itemgetter

import numpy as np

from data_prep.plan.merge import Photograph
from data_prep.plan.plan import Plan, PlannedFile, PlannedPhotograph, read_photographs
from data_prep.shards.locate import REFERENCE, References, unpack
from data_prep.sources import coco, visual_genome_objects
from data_prep.sources.coordinates import Frame
from data_prep.sources.objects import Item, Objects

# Objects of so many images are worked on together: it takes a few thousand for columns to be worth while.
AT_ONCE = 64
_FILE = itemgetter(list(REFERENCE.fields or ()).index("file"))


@dataclass(frozen=True, slots=True)
class Annotated:
    """What one annotation file says of a image."""

    file: PlannedFile
    objects: Objects


def annotated_photographs(
    plan: Plan, number: int, packed: Iterable[bytes], buffers: Mapping[int, mmap]
) -> Iterator[tuple[PlannedPhotograph, list[Annotated]]]:
    """A shard's images in order, each with what its references lead to, in the files' order.

    `packed` are the references (`references.pack`) in any order; see `annotate`.
    """
    return annotate(plan, read_photographs(plan.out, number), unpack(packed), buffers)


def annotate(
    plan: Plan, photographs: list[PlannedPhotograph], references: References, buffers: Mapping[int, mmap]
) -> Iterator[tuple[PlannedPhotograph, list[Annotated]]]:
    """The images, each with what its references lead to; `buffers` are the mapped annotation files by number."""
    references = references[np.lexsort((references["offset"], references["file"], references["photograph"]))]
    ends = np.searchsorted(references["photograph"], np.arange(1, len(photographs) + 1))
    pieces = zip(photographs, np.split(references, ends), strict=False)
    while batch := list(islice(pieces, AT_ONCE)):
        yield from _read(plan, buffers, batch)


def _read(
    plan: Plan, buffers: Mapping[int, mmap], batch: list[tuple[PlannedPhotograph, References]]
) -> list[tuple[PlannedPhotograph, list[Annotated]]]:
    found: list[tuple[PlannedPhotograph, list[Annotated]]] = []
    items: dict[int, list[Item]] = {}
    for planned, references in batch:
        frames = _frames(planned.photograph)
        annotated = []
        for number, own in groupby(references.tolist(), key=_FILE):
            file, buffer, into = plan.files[number], buffers[number], Objects()
            frame = frames[file.source]
            items.setdefault(number, []).extend(
                [Item(buffer[offset : offset + length], offset, frame, into) for _, _, offset, length in own]
            )
            annotated.append(Annotated(file, into))
        found.append((planned, annotated))
    for number, listed in items.items():
        file = plan.files[number]
        if file.kind == "vg":
            visual_genome_objects.take(listed, file.synsets)
        else:
            coco.take(listed, file.categories)
    return found


def _frames(photograph: Photograph) -> dict[str, Frame]:
    """How each source's coordinates lie on the copy that stands; COCO-format ones are of its size."""
    standing = photograph.images[0]
    return {
        image.source: Frame(
            standing.width, standing.height, standing.width / image.width, standing.height / image.height
        )
        for image in photograph.images
    }
