"""Run what `prepare` runs, but for the writing of shards."""

from collections.abc import Iterable
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import msgspec

from data_prep.beam.engine import Engine
from data_prep.beam.graph import write_shards
from data_prep.check.statistics import SourceStatistics, source_statistics
from data_prep.format.exif_rule import ExifRule
from data_prep.plan.plan import PlannedFile, PlannedImage, counts_uri, write_plan
from data_prep.plan.planning import make_plan
from data_prep.prepare.notes import note_classes, note_objects, note_same_images
from data_prep.prepare.publish import count_classes, total_counts
from data_prep.prepare.rejects_limit import check_ceiling
from data_prep.prepare.vocabulary import read_synset_table
from data_prep.shards.results import read_summary
from data_prep.sources.counts import Counts, RefusedError
from data_prep.sources.images import SourceImage
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import ConfigError
from data_prep.storage.own_files import read_own
from data_prep.storage.scratch import scratch_folder

_SHARD_BYTES = 128 << 20


@dataclass(frozen=True)
class CheckOptions:
    """What to check: `sources`, as `prepare` takes them; `images`: whether all image files are read; if false, only
    those of images without a listed size are; `max_rejected`: as `prepare` takes it, 0 to 1; `exif`: which images are
    read upright, likewise; `workers`: processes of this machine. Raises ConfigError for a fraction outside 0 to 1."""

    sources: tuple[str, ...]
    images: bool = True
    max_rejected: float = 0.01
    exif: ExifRule = "auto"
    workers: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.max_rejected <= 1:
            raise ConfigError(f"--max-rejected {self.max_rejected}: must be a fraction, from 0 to 1")


@dataclass(frozen=True)
class Checked:
    """What was found. `refused`: the error that `prepare` would end with, or None. `files` are the annotation files,
    `images` all images that could be planned, by annotation file and id there; `exif`: which are read upright."""

    counts: Counts
    refused: str | None
    statistics: dict[str, SourceStatistics]
    files: list[PlannedFile]
    images: dict[tuple[int, int], SourceImage]
    exif: ExifRule


def check(options: CheckOptions) -> Checked:
    """Read all sources once; raises DataError where not even a plan can be made for lack of a readable file."""
    with TemporaryDirectory(dir=scratch_folder(), prefix="check-") as folder:
        try:
            return _check(options, folder)
        except RefusedError as error:
            return Checked(error.counts, str(error), {}, [], {}, options.exif)


def _check(options: CheckOptions, out: str) -> Checked:
    planned, contents = make_plan(out, parse_sources(options.sources), _SHARD_BYTES, None, options.exif)
    plan = msgspec.structs.replace(planned.plan, images="read" if options.images else "skip")
    write_plan(plan, contents)
    images = _by_identity(image for listed in contents.images for image in listed)
    del contents
    write_shards(out, Engine(None, (), options.workers))
    results = [read_summary(plan, number) for number in range(len(plan.shards))]
    scanned = read_own(counts_uri(out), Counts)
    total = total_counts(planned, scanned, results)
    classes = count_classes(results)
    note_classes(total, planned.classes, read_synset_table(None), classes)
    note_objects(total, results, classes)
    if options.images:
        note_same_images(total, plan, len(results))
    statistics = source_statistics(images.values(), results, classes)
    return Checked(total, _refusal(total, options.max_rejected), statistics, plan.files, images, options.exif)


def _by_identity(images: Iterable[PlannedImage]) -> dict[tuple[int, int], SourceImage]:
    copies = (copy for image in images if not image.rejected for copy in image.merged.copies)
    return {identity: copy for copy in copies for identity in (copy.identity, *copy.aliases)}


def _refusal(total: Counts, max_rejected: float) -> str | None:
    try:
        check_ceiling(total, max_rejected)
    except RefusedError as error:
        return str(error)
    return None
