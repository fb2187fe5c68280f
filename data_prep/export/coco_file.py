"""Write a COCO-format file while images come: nothing of it is held but the ids of the annotations."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from data_prep.format.index import IndexRow
from data_prep.format.records import Annotation
from data_prep.format.rle import coco_object
from data_prep.sources.categories import Category
from data_prep.sources.provenance import Provenance


class CocoImage(msgspec.Struct, omit_defaults=True):
    """An image's record; the last three are LVIS's, written for a file in its format alone.

    `id` is text where the source's own is, and so are those of annotations and categories. A Flickr photo's number is
    all that a dataset has of its `flickr_url`, and all that readers take from it.
    """

    id: int | str
    file_name: str
    width: int
    height: int
    license: int | None = None
    flickr_url: str | None = None
    coco_url: str | None = None
    neg_category_ids: list[int | str] | None = None
    not_exhaustive_category_ids: list[int | str] | None = None


class _Category(msgspec.Struct, omit_defaults=True):
    id: int | str
    name: str
    synset: str | None = None
    supercategory: str | None = None


class _Annotation(msgspec.Struct, omit_defaults=True):
    id: int | str
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int
    segmentation: dict[str, Any] | list[Any]
    provenance: Provenance | None = None


def flickr_url(row: IndexRow) -> str | None:
    """The page of an image's Flickr photo."""
    return None if row.flickr_id is None else f"https://www.flickr.com/photos/{row.flickr_id}"


class CocoWriter:
    """Takes images and their annotations. `annotations`, `masks`, `renumbered`: how many were written so far, how many
    of them have a mask, and how many got another id, as an earlier one has theirs."""

    def __init__(self, file: BinaryIO, spool: BinaryIO, repeats: BinaryIO, categories: tuple[Category, ...]) -> None:
        self.annotations = self.masks = self.renumbered = 0
        self._file = file
        self._spool = spool
        self._repeats = repeats
        self._ids = {category.name: category.listed_id for category in categories}
        self._seen: set[int] = set()
        self._first_image = True

    def add(self, image: CocoImage, annotations: list[Annotation]) -> None:
        """Write an image, and of its annotations those of the file's categories."""
        self._file.write((b"\n" if self._first_image else b",\n") + msgspec.json.encode(image))
        self._first_image = False
        for a in annotations:
            if a.category in self._ids:
                self._add(a, image.id)

    def _add(self, a: Annotation, image: int | str) -> None:
        segmentation: dict[str, Any] | list[Any] = coco_object(a.mask) if a.mask else []
        made = Provenance(a.provenance, score=a.mask_score) if a.provenance else None
        written = _Annotation(a.listed_id, image, self._ids[a.category], a.bbox, a.area, a.iscrowd, segmentation, made)
        if a.id in self._seen:
            self._repeats.write(msgspec.json.encode(written) + b"\n")
            self.renumbered += 1
        else:
            self._write(written)
        self._seen.add(a.id)
        self.masks += a.mask is not None

    def _write(self, annotation: _Annotation) -> None:
        self._spool.write((b",\n" if self.annotations else b"\n") + msgspec.json.encode(annotation))
        self.annotations += 1

    def finish(self) -> None:
        """Write the annotations after the images."""
        self._repeats.seek(0)
        last = max(self._seen, default=0)
        for number, line in enumerate(self._repeats, start=1):
            self._write(msgspec.structs.replace(msgspec.json.decode(line, type=_Annotation), id=last + number))
        self._file.write(b'\n],\n"annotations": [')
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, self._file)
        self._file.write(b"\n]\n}\n")


@contextmanager
def coco_file(
    path: Path, description: str, licenses: tuple[str, ...], categories: tuple[Category, ...]
) -> Iterator[CocoWriter]:
    """A new file at `path`, complete when the block ends; license number n is the n-th text, from 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beginning = {
        "info": {"description": description},
        "licenses": [
            {"id": number, "name": text, "url": text if "://" in text else ""}
            for number, text in enumerate(licenses, start=1)
        ],
        "categories": [_Category(c.listed_id, c.name, c.synset, c.supercategory) for c in categories],
    }
    with path.open("wb") as file, _temporary(path.parent) as spool, _temporary(path.parent) as repeats:
        file.write(b"{\n")
        for name, value in beginning.items():
            file.write(b'"%s": %s,\n' % (name.encode(), msgspec.json.encode(value)))
        file.write(b'"images": [')
        writer = CocoWriter(file, spool, repeats, categories)
        yield writer
        writer.finish()


def _temporary(folder: Path) -> AbstractContextManager[BinaryIO]:
    return tempfile.TemporaryFile(dir=folder)
