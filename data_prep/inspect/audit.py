"""Prove on a finished dataset that no held-out image is in its training split, by ids and by content.

Only the training images are taken from the dataset: each is decoded again and compared with the held-out files in their
own folder. What is a leak and what is kept on purpose is decided by the rule that `prepare` follows
(`data_prep.plan.held_out_rule`).
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from data_prep.format.image_kinds import KINDS_READ, SUFFIXES
from data_prep.format.reader import Dataset
from data_prep.inspect.compare import TrainingImage, describe_images, find_copies, processes
from data_prep.inspect.show import table
from data_prep.plan.held_out_rule import COCO, TRAIN, is_kept
from data_prep.plan.image_files import ImageFiles
from data_prep.plan.listing import list_sources
from data_prep.sources.images import SourceImage
from data_prep.sources.options import CocoFiles, parse_sources
from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import info, is_folder, list_files

_SOURCE = re.compile(r"[a-z0-9]+(@[a-z0-9-]+)?=(coco|lvis|vg):")


@dataclass(frozen=True, order=True)
class Finding:
    """A training image that is a held-out one: its key, what it was matched by (`coco_id`, `flickr_id` or `content`),
    and the held-out file."""

    key: str
    by: str
    held_out: str


@dataclass(frozen=True)
class Audit:
    """The numbers of images compared, the leaks, and the near-duplicates that `prepare` keeps on purpose: COCO's own,
    and those within one source."""

    training: int
    held_out: int
    leaks: tuple[Finding, ...]
    near_duplicates: tuple[Finding, ...]


@dataclass(frozen=True)
class _Held:
    """A held-out file: its URI, its name in findings, and the record that lists it, if a source was given."""

    uri: str
    name: str
    listed: SourceImage | None = None

    @property
    def source(self) -> str | None:
        """Its source, None if it comes from a folder."""
        return None if self.listed is None else self.listed.source


def audit(uri: str, against: str, limit: int | None = None, workers: int = 1) -> Audit:
    """Compare a dataset's training images, the first `limit` of them, with the held-out images at `against`.

    `against` is a folder of images, or a source as `prepare` takes it (`coco=coco:FOLDER`): its files that are not for
    training, whose ids are compared as well. The images of a folder belong to no source, so that near-duplicates within
    a source are distinguished from leaks only if the source is named. Raises DataError for an image that cannot be
    decoded, as nothing is proved of it, and ConfigError for options out of range.
    """
    if workers < 1 or (limit is not None and limit < 1):
        raise ConfigError("--workers and --limit must be at least 1; leave --limit out for all")
    dataset = Dataset.open(uri)
    training = _training(dataset)[:limit]
    held_out = _held_out(against)
    with tempfile.TemporaryDirectory(prefix="maskx-audit-") as folder, processes(workers) as run:
        gallery = f"{folder}/held_out.npy"
        np.save(gallery, describe_images([held.uri for held in held_out], run), allow_pickle=False)
        copies = find_copies(dataset.uri, training, gallery, run)
    found = [(image, "content", held_out[number]) for image, number in copies]
    found += _matched_by_ids(training, held_out)
    leaks: list[Finding] = []
    kept: list[Finding] = []
    for image, by, held in found:
        # An image with the very id of a held-out one is that image, not a near-duplicate.
        on_purpose = by != "coco_id" and is_kept(image.source, held.source)
        (kept if on_purpose else leaks).append(Finding(image.key, by, held.name))
    return Audit(len(training), len(held_out), tuple(leaks), tuple(kept))


def describe(found: Audit) -> str:
    """Describe what was compared and found, as text for a terminal."""
    lines = [f"{found.training:,} training images compared with {found.held_out:,} held-out ones"]
    for title, findings in (
        ("held out, and in training", found.leaks),
        ("near-duplicates within one source or of COCO, which prepare keeps", found.near_duplicates),
    ):
        lines.append(f"{title}: {len(findings):,}")
        if findings:
            rows = [(finding.key, finding.by, finding.held_out) for finding in sorted(findings)]
            lines.append(table([("training", "matched by", "held out"), *rows]))
    return "\n".join(lines)


def _training(dataset: Dataset) -> list[TrainingImage]:
    table = dataset.index.filter(pc.equal(dataset.index["split"], TRAIN))
    names = ("key", "shard", "image_offset", "image_length", "ids", "flickr_id")
    columns = (table[name].to_pylist() for name in names)
    return [
        TrainingImage(key, shard, start, length, dict(ids).get(COCO), flickr_id)
        for key, shard, start, length, ids, flickr_id in zip(*columns, strict=True)
    ]


def _held_out(against: str) -> list[_Held]:
    """List the held-out files; raises DataError if there are none, ConfigError for a source without held-out files."""
    if _SOURCE.match(against):
        files = [f for f in parse_sources((against,)) if isinstance(f, CocoFiles) and f.split != TRAIN]
        if not files:
            raise ConfigError(f"--against {against}: has no file that is not for training; say NAME@val=… or a folder")
        listing = list_sources([*files], ImageFiles())
        rejected = [image for image in listing.rejected if info(image.path)]
        return [_Held(image.path, image.path, image) for image in [*listing.coco_format, *rejected]]
    if not is_folder(against):
        raise DataError(f"{against}: no such folder; give --against the folder of the held-out images")
    folder = against.rstrip("/")
    held_out = [
        _Held(f"{folder}/{name}", name) for name in list_files(folder) if name.lower().endswith(tuple(SUFFIXES))
    ]
    if not held_out:
        raise DataError(f"{against}: no images ({KINDS_READ}) below it to compare with")
    return held_out


def _matched_by_ids(training: list[TrainingImage], held_out: list[_Held]) -> Iterator[tuple[TrainingImage, str, _Held]]:
    listed = [(held, held.listed) for held in held_out if held.listed]
    coco_ids = {image.id: held for held, image in listed if image.source == COCO}
    flickr_ids = {image.flickr_id: held for held, image in listed if image.flickr_id is not None}
    for image in training:
        if image.coco_id in coco_ids:
            yield image, "coco_id", coco_ids[image.coco_id]
        if image.flickr_id in flickr_ids:
            yield image, "flickr_id", flickr_ids[image.flickr_id]
