"""What a worker does with a part: read its images, predict, write the rows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from data_prep.format.images import decode_rgb
from data_prep.format.parquet import write_tables
from data_prep.storage.errors import DataError, RightsError
from maskx_model.batch_prediction.images import Encoded, Listed
from maskx_model.batch_prediction.plan import opened_plan, part_files
from maskx_model.batch_prediction.rows import SCHEMA, Describing, Row, to_table, unreadable
from maskx_model.config import Compute
from maskx_model.inference.one_size import Pixels, batches_of_one_size
from maskx_model.inference.segmenter import Segmenter

AT_ONCE = 16
"""Images of a part that are read at the same time: object storage answers in some 30 ms."""


class ReadImage(NamedTuple):
    """An image of a part, with its number in the output and its name there: what was read, or why nothing was."""

    image_id: int
    name: str
    read: Encoded | str


@dataclass(frozen=True)
class ReadImages:
    """A part's number → its images, of the plan at `out`."""

    out: str

    def __call__(self, part: int) -> list[ReadImage]:
        plan, images = opened_plan(self.out)
        start, end = plan.between(part)
        listed = list(images.between(start, end))
        with ThreadPoolExecutor(AT_ONCE) as threads:
            read = threads.map(_read, listed)
            return [
                ReadImage(n, each.name, it) for n, (each, it) in enumerate(zip(listed, read, strict=True), start + 1)
            ]


@dataclass(frozen=True)
class LoadSegmenter:
    """→ the model of a folder. `threads`: how many a process computes with, None for torch's own number."""

    model: str
    compute: Compute
    threads: int | None

    def __call__(self) -> Segmenter:
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return Segmenter.load(self.model, self.compute)


@dataclass(frozen=True)
class Predict:
    """The model, and the images of a part → their rows, in their order. `batch`: so many images of one size are
    computed at a time."""

    batch: int

    def __call__(self, segmenter: Segmenter, images: list[ReadImage]) -> pa.Table:
        describing = Describing(segmenter.vocabulary)
        rows: dict[int, Row] = {}
        for batch in batches_of_one_size(_decoded(images, rows), self.batch):
            found = segmenter.segment_batch([pixels for _, pixels in batch])
            for (image, pixels), instances in zip(batch, found, strict=True):
                rows[image.image_id] = describing.row(image.image_id, image.name, pixels, instances)
        return to_table([rows[image.image_id] for image in images])


@dataclass(frozen=True)
class WriteRows:
    """A part's number and its rows → its file, below `out`."""

    out: str

    def __call__(self, part: int, rows: pa.Table) -> None:
        write_tables(part_files(self.out).uri(part), SCHEMA, [rows])


def _read(image: Listed) -> Encoded | str:
    try:
        return image.read()
    except (DataError, RightsError, OSError) as error:
        return str(error)


def _decoded(images: list[ReadImage], rows: dict[int, Row]) -> Iterator[tuple[ReadImage, Pixels]]:
    """Each image with its pixels; one that is unreadable gets its row instead."""
    for image in images:
        pixels = _pixels(image)
        if isinstance(pixels, str):
            rows[image.image_id] = unreadable(image.image_id, image.name, pixels)
        else:
            yield image, pixels


def _pixels(image: ReadImage) -> Pixels | str:
    if isinstance(image.read, str):
        return image.read
    try:
        return decode_rgb(image.read.data, image.name, upright=image.read.upright)
    except DataError as error:
        return str(error)
