"""Which images of a dataset are exported, and whose annotations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_prep.export.categories import categories, choose
from data_prep.export.options import ExportOptions
from data_prep.format.index import IndexRow, index_rows
from data_prep.format.manifest import Source
from data_prep.format.reader import Dataset
from data_prep.sources.categories import Category
from data_prep.storage.errors import ConfigError, DataError

_ROWS_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class Part:
    """What is exported of a split: the images' positions in the index, int64[N]."""

    split: str
    positions: npt.NDArray[np.int64]

    def rows(self, index: pa.Table) -> Iterator[IndexRow]:
        """The images' rows, a few thousand in memory at a time."""
        for start in range(0, len(self.positions), _ROWS_AT_ONCE):
            yield from index_rows(index.take(self.positions[start : start + _ROWS_AT_ONCE]))


@dataclass(frozen=True)
class Selection:
    """What is exported: a source, of that file format, the classes as categories, and a part of each split.

    `licenses`: the license texts of the images, sorted.
    """

    source: str
    kind: str
    categories: tuple[Category, ...]
    parts: tuple[Part, ...]
    licenses: tuple[str, ...]


def select(dataset: Dataset, options: ExportOptions) -> Selection:
    """Choose images and annotations; raises ConfigError or DataError, with what there is, where nothing is left."""
    source = _source(dataset, options.source)
    splits = _splits(dataset, options.split)
    names: set[str] = set()
    licenses: set[str] = set()
    for image in _images(dataset.index, source.name, splits):
        names.update(image.classes)
        licenses.update([image.license] if image.license else [])
    chosen = categories(dataset, source, names)
    wanted = None
    if options.classes:
        chosen = choose(chosen, options.classes, dataset.vocabulary)
        wanted = {category.name for category in chosen}
    found: dict[str, list[int]] = {split: [] for split in splits}
    for image in _images(dataset.index, source.name, splits):
        if wanted is None or not wanted.isdisjoint(image.classes):
            found[image.split].append(image.position)
    parts = tuple([Part(split, np.asarray(listed, np.int64)) for split, listed in found.items() if listed])
    if not parts:
        raise DataError(f"{dataset.uri}: source {source.name} has no image of that split with such an object")
    return Selection(source.name, source.kind, chosen, parts, tuple(sorted(licenses)))


class _Image(NamedTuple):
    """What the index says of an image: its position there, and the classes of its objects in the source."""

    position: int
    split: str
    classes: list[str]
    license: str | None


def _images(index: pa.Table, source: str, splits: list[str]) -> Iterator[_Image]:
    """The source's images of the splits, a few thousand in memory at a time."""
    columns = index.select(["split", "ids", "classes", "license"])
    for start in range(0, len(columns), _ROWS_AT_ONCE):
        for position, row in enumerate(columns.slice(start, _ROWS_AT_ONCE).to_pylist(), start=start):
            if row["split"] in splits and source in dict(row["ids"]):
                classes = dict(row["classes"]).get(source, [])
                yield _Image(position, row["split"], classes, row["license"])


def _source(dataset: Dataset, wanted: str | None) -> Source:
    sources = {each.name: each for each in dataset.manifest.sources}
    names = ", ".join(sources)
    if wanted is None and len(sources) > 1:
        example = next(iter(sources))
        raise ConfigError(f"{dataset.uri}: has sources {names}; say whose annotations, as in --source {example}")
    if wanted is not None and wanted not in sources:
        raise ConfigError(f"--source {wanted}: the dataset has {names}")
    return sources[wanted] if wanted else next(iter(sources.values()))


def _splits(dataset: Dataset, wanted: str | None) -> list[str]:
    splits = sorted(dataset.manifest.counts, key=lambda split: (split not in ("train", "val"), split))
    if wanted is not None and wanted not in splits:
        raise ConfigError(f"--split {wanted}: the dataset has {', '.join(splits)}")
    return splits if wanted is None else [wanted]
