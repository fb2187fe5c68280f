"""Compare a dataset's training images with held-out image files by content, in several processes."""

import itertools
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from data_prep.content.search import LEAST_SIDE, HeldOutPictures, Pictures
from data_prep.content.search import describe as describe_picture
from data_prep.format.images import decode_luminance
from data_prep.storage.errors import killed_workers_told
from data_prep.storage.storage import read, read_range

_AT_ONCE = 64

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class TrainingImage:
    """A training image: where its bytes are in its shard, and its ids."""

    key: str
    shard: str
    offset: int
    length: int
    coco_id: int | None
    flickr_id: int | None

    @property
    def source(self) -> str:
        """The source of its canonical copy, with which its key begins."""
        return self.key.partition("-")[0]


class Map(Protocol):
    """`map`, in this process or in several."""

    def __call__(self, function: Callable[[T], R], tasks: Iterable[T], /) -> Iterator[R]: ...


@contextmanager
def processes(workers: int) -> Iterator[Map]:
    """A `map` in `workers` processes; in this one if there is only one. Raises MaskxError if one of them is killed."""
    if workers == 1:
        yield map
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    with killed_workers_told("give fewer --workers, which need less"), pool as executor:
        yield executor.map


def describe_images(uris: list[str], run: Map) -> Pictures:
    """Decode and describe image files, PICTURE[N] in the order given, each with its position in its field `photograph`.

    A file with an EXIF orientation is described twice, as it is stored and as it is shown: a copy may show either.
    """
    bar = tqdm(total=len(uris), desc="audit: held out", unit="image", file=sys.stderr)
    described: list[Pictures] = []
    with bar:
        for pictures in run(_describe_files, list(_batches(list(enumerate(uris))))):
            described.append(pictures)
            bar.update(len(np.unique(pictures["photograph"])))
    return np.concatenate(described)


def _describe_files(files: list[tuple[int, str]]) -> Pictures:
    described: list[Pictures] = []
    for number, uri in files:
        frames = decode_luminance(read(uri), uri, LEAST_SIDE).frames
        described += [describe_picture(number, grey) for grey in frames]
    return np.concatenate(described)


@dataclass(frozen=True)
class _Task:
    """Training images that are adjacent in a shard, to compare with a file of PICTURE rows."""

    shard: str
    images: list[TrainingImage]
    gallery: str


def find_copies(uri: str, training: list[TrainingImage], gallery: str, run: Map) -> list[tuple[TrainingImage, int]]:
    """Find each training image that is a copy of a held-out one, and that one's number in the file `gallery`.

    `uri` is the dataset's; raises DataError for an image that cannot be decoded.
    """
    shards = itertools.groupby(training, key=lambda image: image.shard)
    tasks = [_Task(f"{uri}/{shard}", batch, gallery) for shard, own in shards for batch in _batches(list(own))]
    found: list[tuple[TrainingImage, int]] = []
    with tqdm(total=len(training), desc="audit: training", unit="image", file=sys.stderr) as bar:
        for task, copies in zip(tasks, run(_compare_images, tasks), strict=True):
            found += copies
            bar.update(len(task.images))
    return found


def _compare_images(task: _Task) -> list[tuple[TrainingImage, int]]:
    gallery = _gallery(task.gallery)
    first, last = task.images[0], task.images[-1]
    data = read_range(task.shard, first.offset, last.offset + last.length - first.offset)
    found = []
    for image in task.images:
        begin = image.offset - first.offset
        encoded = data[begin : begin + image.length]
        frames = decode_luminance(encoded, f"{task.shard}: {image.key}", LEAST_SIDE).frames
        if copied := next(filter(None, map(gallery.copied_by, frames)), None):
            found.append((image, int(copied)))
    return found


@lru_cache(maxsize=1)
def _gallery(path: str) -> HeldOutPictures:
    pictures: Pictures = np.load(path, mmap_mode="r")
    return HeldOutPictures([pictures], [str(number) for number in pictures["photograph"].tolist()])


def _batches(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
