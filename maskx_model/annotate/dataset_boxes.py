"""A prepared dataset's annotations as a COCO-format file, so that they are completed as every other file is."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import msgspec

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.format.rle import coco_object
from data_prep.sources.coco import list_coco
from data_prep.sources.json_files import read_items
from data_prep.sources.open_coco import open_coco
from data_prep.sources.options import CocoFiles
from data_prep.sources.provenance import Provenance
from data_prep.storage.errors import DataError
from data_prep.storage.storage import absolute, create, exists
from maskx_model.annotate.planning import Input
from maskx_model.annotate.work import BoxedImage, work_folder
from maskx_model.results.coco_results import category_ids

THREADS, GROUP = 16, 1024


class _Image(msgspec.Struct, omit_defaults=True):
    """An image as the written file lists it; `upright`: its boxes belong to the image as its EXIF data turn it."""

    id: int | str
    file_name: str
    width: int
    height: int
    upright: bool = False


def _are_upright(boxes: str) -> Iterator[bool]:
    """Whether the boxes of each image of a written file belong to the upright image."""
    buffer, layout = open_coco(boxes)
    for byte_range in layout.byte_ranges(0, "images"):
        for _, item in read_items(buffer, byte_range):
            yield msgspec.json.decode(item, type=_Image).upright


def written_name(split: str, source: str) -> str:
    """The name of the file that comes back."""
    return f"{source}-{split}.json"


def read_dataset(uri: str, split: str, source: str, out: str, begun: bool) -> Input:
    """What a source annotates in a split, written to the work folder of `out` as a COCO-format file (kept there from a
    run that has `begun`).

    Raises DataError if there is no such split or source (the error lists what there is), or a shard is damaged.
    """
    data = Dataset.open(uri)
    rows = _select(data, split, source)
    name = written_name(split, source)
    boxes = f"{work_folder(out)}/boxes-{name}"
    if not (begun and exists(boxes)):
        with create(boxes) as file:
            _write(file, data, rows, source)
    listing = list_coco(CocoFiles(source, split, work_folder(out), boxes, "images"), 0)
    folder = absolute(data.uri)
    images = [
        BoxedImage(
            f"{folder}/{row.shard}",
            row.width,
            row.height,
            row.image_offset,
            row.image_length,
            "apply" if upright else "ignore",
        )
        for row, upright in zip(rows, _are_upright(boxes), strict=True)
    ]
    return Input(listing, boxes, name, images)


def _select(data: Dataset, split: str, source: str) -> list[IndexRow]:
    rows = list(data.rows.of_split(split, source))
    if not rows:
        there = sorted({f"{row.split} of {name}" for row in data.rows for name in row.ids})
        raise DataError(f"{data.uri}: has no split {split!r} of source {source!r}; it has {', '.join(there)}")
    return rows


def _write(file: BinaryIO, data: Dataset, rows: Sequence[IndexRow], source: str) -> None:
    numbers = _categories(data, rows, source)
    synsets = {name: data.vocabulary.classes[at].synset for name, at in data.vocabulary.index(source).items()}
    categories = [
        {"id": number, "name": name} | ({"synset": synsets[name]} if name in synsets else {})
        for name, number in sorted(numbers.items(), key=lambda item: item[1])
    ]
    file.write(b'{"categories":' + msgspec.json.encode(categories) + b',\n"annotations":[')
    separator = b"\n"
    images = []
    for row, record in zip(rows, _records(data, rows), strict=True):
        images.append(_Image(record.listed_id(source), f"{row.key}.jpg", row.width, row.height, record.upright))
        for a in record.objects.get(source, []):
            file.write(separator + msgspec.json.encode(_annotation(a, record.listed_id(source), numbers[a.category])))
            separator = b",\n"
    file.write(b'\n],\n"images":' + msgspec.json.encode(images) + b"}\n")


def _categories(data: Dataset, rows: Sequence[IndexRow], source: str) -> dict[str, int]:
    """The source's class names with numbers: COCO's, where each name has its own; else counted from 1."""
    names = sorted({name for row in rows for name in row.classes.get(source, ())})
    index, numbers = data.vocabulary.index(source), category_ids(data.vocabulary)
    known = {name: numbers[index[name]] for name in names if name in index}
    if len(known) < len(names) or len(set(known.values())) < len(names):
        return {name: number for number, name in enumerate(names, 1)}
    return known


def _annotation(a: Annotation, image_id: int | str, category_id: int) -> dict[str, Any]:
    found: dict[str, Any] = {"id": a.listed_id, "image_id": image_id, "category_id": category_id}
    found |= {"bbox": a.bbox, "area": a.area, "iscrowd": a.iscrowd}
    if a.mask is not None:
        found["segmentation"] = coco_object(a.mask)
    if a.provenance is not None:
        found["provenance"] = Provenance(a.provenance, score=a.mask_score)
    return found


def _records(data: Dataset, rows: Sequence[IndexRow]) -> Iterator[Record]:
    """The rows' records, in order; those of object storage are read several at a time."""
    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(rows), GROUP):
            yield from threads.map(data.read_record, rows[start : start + GROUP])
