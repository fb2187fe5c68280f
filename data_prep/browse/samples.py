"""Draw images of a class with its objects."""

from dataclasses import dataclass

from data_prep.browse.catalogue import Catalogue
from data_prep.format.index import IndexRow, index_rows
from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.format.vocabulary import VocabularyClass
from data_prep.pages.drawing import Shape, draw
from data_prep.pages.html import jpeg_uri

LONG_EDGE = 360
"""Longer side of a drawn image, pixels."""


@dataclass(frozen=True)
class Sample:
    """An image's row in the index, the source whose objects are drawn and their number, and the drawing: its width and
    height in pixels and its data URI."""

    row: IndexRow
    source: str
    objects: int
    width: int
    height: int
    uri: str


def class_samples(dataset: Dataset, catalogue: Catalogue, position: int, most: int) -> list[Sample]:
    """Draw up to `most` images of the class; raises DataError if a shard is damaged."""
    c = dataset.vocabulary.classes[position]
    rows = index_rows(dataset.index.take(catalogue.pick(position, c.synset, most)))
    return [_sample(dataset, row, c) for row in rows]


def _sample(dataset: Dataset, row: IndexRow, c: VocabularyClass) -> Sample:
    pixels, record = dataset.read_both(row)
    source, objects = _objects(record, c)
    shapes = []
    for a in sorted(objects, key=lambda a: a.area):
        x, y, w, h = a.bbox
        shapes.append(Shape((x, y, x + w, y + h), a.mask, c.masks_to_train_on > 0))
    picture = draw(pixels, shapes, LONG_EDGE)
    height, width, _ = picture.shape
    return Sample(row, source, len(objects), width, height, jpeg_uri(picture))


def _objects(record: Record, c: VocabularyClass) -> tuple[str, list[Annotation]]:
    """The class's objects by one source: the one with most masks of it in this image, then with most boxes."""
    found = {
        source: [a for a in record.objects.get(source, ()) if a.category in own.names]
        for source, own in c.sources.items()
    }
    return max(found.items(), key=lambda item: (sum(a.mask is not None for a in item[1]), len(item[1])))
