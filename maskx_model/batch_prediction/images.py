"""The images that are predicted on, in their order: files, or those of a prepared dataset."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from data_prep.format.index import IndexRow
from data_prep.format.manifest import dataset_hash
from data_prep.format.reader import Dataset
from data_prep.format.rows import Rows
from data_prep.storage.storage import read
from maskx_model.inference.find_images import FoundImages


class Encoded(NamedTuple):
    """An image's bytes, and whether it is read upright, as its EXIF data say."""

    data: bytes
    upright: bool


class Listed(NamedTuple):
    """An image's name in the output, and what reads it; that raises DataError if there is nothing to read."""

    name: str
    read: Callable[[], Encoded]


class Images(Protocol):
    """A number of images."""

    def __len__(self) -> int: ...

    def between(self, start: int, end: int) -> Iterator[Listed]:
        """The images from number `start` to before `end`, counted from 0."""
        ...


@dataclass(frozen=True)
class FileImages:
    """Files, read upright as `maskx predict` reads them."""

    uris: Sequence[str]

    def __len__(self) -> int:
        return len(self.uris)

    def between(self, start: int, end: int) -> Iterator[Listed]:
        """As `Images` says; an image's name is its URI."""
        for uri in self.uris[start:end]:
            yield Listed(uri, partial(_read_file, uri))


@dataclass(frozen=True)
class DatasetImages:
    """Images of a dataset in the order of its shards, read as their records mean them."""

    data: Dataset
    rows: Rows

    @classmethod
    def open(cls, uri: str, split: str | None) -> "DatasetImages":
        """Those of a split, None for all; raises DataError without any."""
        data = Dataset.open(uri)
        return cls(data, data.rows if split is None else data.select(split))

    def __len__(self) -> int:
        return len(self.rows)

    def between(self, start: int, end: int) -> Iterator[Listed]:
        """As `Images` says; an image's name is its key with `.jpg`."""
        for row in self.rows[start:end]:
            yield Listed(f"{row.key}.jpg", partial(_read_member, self.data, row))


def files_hash(found: FoundImages) -> str:
    """What changes when a file is added, removed or written again."""
    lines = "".join(f"{each.uri}\0{each.info.bytes}\0{each.info.version}\n" for each in found.images)
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def split_hash(uri: str, split: str | None) -> str:
    """What changes when the dataset is another one, or the split."""
    return dataset_hash(uri) + ("" if split is None else f" {split}")


def _read_file(uri: str) -> Encoded:
    return Encoded(read(uri), upright=True)


def _read_member(data: Dataset, row: IndexRow) -> Encoded:
    image, record = data.read_encoded(row)
    return Encoded(image, record.upright)
