"""Proof on a finished dataset that no held-out image is in its training side, by ids and by what the files show.

Nothing is taken from the dataset but its training images: every one is decoded again and compared with the
held-out files as they stand in their own folder.
"""

import itertools
import multiprocessing
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

import numpy as np
import pyarrow.compute as pc
from tqdm import tqdm

from data_prep.content.held_out import LEAST_SIDE, HeldOutPictures, Pictures
from data_prep.content.held_out import describe as describe_picture
from data_prep.format.images import decode_luminance
from data_prep.format.reader import Dataset
from data_prep.inspect.show import table
from data_prep.plan.listing import list_sources
from data_prep.plan.merge import COCO, TRAIN
from data_prep.sources.images import SourceImage
from data_prep.sources.options import CocoFiles, parse_sources
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import is_folder, list_files, read, read_range

_SOURCE = re.compile(r"[a-z0-9]+(@[a-z]+)?=(coco|lvis|vg):")
_PICTURE = (".jpg", ".jpeg", ".png")
_AT_ONCE = 64

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, order=True)
class Finding:
    """A training image that is a held-out one: its key, what told (`coco_id`, `flickr_id`, `content`), whose."""

    key: str
    by: str
    held_out: str


@dataclass(frozen=True)
class Audit:
    """What was compared, the leaks found, and COCO's own near-duplicates, which are none: COCO is never thinned."""

    training: int
    held_out: int
    leaks: tuple[Finding, ...]
    near_duplicates: tuple[Finding, ...]


@dataclass(frozen=True)
class _Held:
    """A held-out file: its URI, how it is told, and the record that lists it, if annotations were given."""

    uri: str
    name: str
    listed: SourceImage | None = None


@dataclass(frozen=True)
class _Photograph:
    """A training image: where its bytes are in its shard, and its ids."""

    key: str
    shard: str
    offset: int
    length: int
    coco_id: int | None
    flickr_id: int | None


def audit(uri: str, against: str, limit: int | None = None, workers: int = 1) -> Audit:
    """Compare a dataset's training images, the first `limit` of them, with the held-out ones at `against`.

    `against` is a folder of images, or a source as `prepare` takes it (`coco=coco:FOLDER`), of which the files
    that are not for training are meant, and whose ids are compared as well. Raises DataError for an image that
    cannot be decoded, as nothing is proved of it, and ConfigError for options out of range.
    """
    if workers < 1 or (limit is not None and limit < 1):
        raise ConfigError("--workers and --limit must be at least 1; leave --limit out for all")
    dataset = Dataset.open(uri)
    training = _training(dataset)[:limit]
    held_out = _held_out(against)
    with tempfile.TemporaryDirectory(prefix="maskx-audit-") as folder, _processes(workers) as run:
        gallery = f"{folder}/held_out.npy"
        np.save(gallery, _describe([held.uri for held in held_out], run), allow_pickle=False)
        shown = _compare(dataset.uri, training, gallery, run)
    found = [Finding(key, "content", held_out[number].name) for key, number in shown]
    found += _told_by_ids(training, held_out)
    own = [finding for finding in found if finding.by != "coco_id" and finding.key.startswith(f"{COCO}-")]
    leaks = [finding for finding in found if finding not in own]
    return Audit(len(training), len(held_out), tuple(leaks), tuple(own))


def describe(found: Audit) -> str:
    """What was compared and what was found, as text for a terminal."""
    lines = [f"{found.training:,} training images compared with {found.held_out:,} held-out ones"]
    for title, findings in (
        ("held out, and in training", found.leaks),
        ("near-duplicates that COCO itself has in training, left as they are", found.near_duplicates),
    ):
        lines.append(f"{title}: {len(findings):,}")
        if findings:
            rows = [(finding.key, finding.by, finding.held_out) for finding in sorted(findings)]
            lines.append(table([("training", "told by", "held out"), *rows]))
    return "\n".join(lines)


def _training(dataset: Dataset) -> list[_Photograph]:
    table = dataset.index.filter(pc.equal(dataset.index["split"], TRAIN))
    columns = (table[name].to_pylist() for name in ("key", "shard", "image_offset", "image_length", "ids", "flickr_id"))
    return [
        _Photograph(key, shard, offset, length, dict(ids).get(COCO), flickr_id)
        for key, shard, offset, length, ids, flickr_id in zip(*columns, strict=True)
    ]


def _held_out(against: str) -> list[_Held]:
    """The held-out files; raises DataError if there are none, ConfigError for a source without held-out files."""
    if _SOURCE.match(against):
        files = [f for f in parse_sources((against,)) if isinstance(f, CocoFiles) and f.split != TRAIN]
        if not files:
            raise ConfigError(f"--against {against}: has no file that is not for training; say NAME@val=… or a folder")
        return [_Held(image.path, image.path, image) for image in list_sources([*files]).coco_format]
    if not is_folder(against):
        raise DataError(f"{against}: no such folder; give --against the folder of the held-out images")
    folder = against.rstrip("/")
    held_out = [_Held(f"{folder}/{name}", name) for name in list_files(folder) if name.lower().endswith(_PICTURE)]
    if not held_out:
        raise DataError(f"{against}: no images (.jpg, .jpeg, .png) below it to compare with")
    return held_out


def _told_by_ids(training: list[_Photograph], held_out: list[_Held]) -> Iterator[Finding]:
    listed = [(held.name, held.listed) for held in held_out if held.listed]
    coco_ids = {image.id: name for name, image in listed if image.source == COCO}
    flickr_ids = {image.flickr_id: name for name, image in listed if image.flickr_id is not None}
    for photograph in training:
        if photograph.coco_id in coco_ids:
            yield Finding(photograph.key, "coco_id", coco_ids[photograph.coco_id])
        if photograph.flickr_id in flickr_ids:
            yield Finding(photograph.key, "flickr_id", flickr_ids[photograph.flickr_id])


class _Map(Protocol):
    """`map`, in this process or over several."""

    def __call__(self, function: Callable[[T], R], tasks: Iterable[T], /) -> Iterator[R]: ...


@contextmanager
def _processes(workers: int) -> Iterator[_Map]:
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as executor:
        yield executor.map


def _describe(uris: list[str], run: _Map) -> Pictures:
    """The held-out images, in the order given."""
    bar = tqdm(total=len(uris), desc="audit: held out", unit="photograph", file=sys.stderr)
    described: list[Pictures] = []
    with bar:
        for pictures in run(_describe_files, list(_batches(uris))):
            described.append(pictures)
            bar.update(len(pictures))
    return np.concatenate(described)


def _describe_files(uris: list[str]) -> Pictures:
    return np.concatenate([describe_picture(0, decode_luminance(read(uri), uri, LEAST_SIDE).grey) for uri in uris])


@dataclass(frozen=True)
class _Task:
    """Training images that stand one after another in a shard, to compare with a file of PICTURE rows."""

    shard: str
    photographs: list[_Photograph]
    gallery: str


def _compare(uri: str, training: list[_Photograph], gallery: str, run: _Map) -> list[tuple[str, int]]:
    """The key of each training image that is a copy, and which of the held-out ones it copies."""
    shards = itertools.groupby(training, key=lambda photograph: photograph.shard)
    tasks = [_Task(f"{uri}/{shard}", batch, gallery) for shard, own in shards for batch in _batches(list(own))]
    found: list[tuple[str, int]] = []
    with tqdm(total=len(training), desc="audit: training", unit="photograph", file=sys.stderr) as bar:
        for task, copies in zip(tasks, run(_compare_photographs, tasks), strict=True):
            found += copies
            bar.update(len(task.photographs))
    return found


def _compare_photographs(task: _Task) -> list[tuple[str, int]]:
    gallery = _gallery(task.gallery)
    first, last = task.photographs[0], task.photographs[-1]
    data = read_range(task.shard, first.offset, last.offset + last.length - first.offset)
    found = []
    for photograph in task.photographs:
        begin = photograph.offset - first.offset
        image = data[begin : begin + photograph.length]
        shown = decode_luminance(image, f"{task.shard}: {photograph.key}", LEAST_SIDE)
        if copied := gallery.copied_by(shown.grey):
            found.append((photograph.key, int(copied)))
    return found


@lru_cache(maxsize=1)
def _gallery(path: str) -> HeldOutPictures:
    pictures: Pictures = np.load(path, mmap_mode="r")
    return HeldOutPictures([pictures], [str(number) for number in range(len(pictures))])


def _batches(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
