"""The options of prepare."""

from dataclasses import dataclass
from typing import get_args

from data_prep.beam.engine import Engine
from data_prep.format.exif_rule import ExifRule
from data_prep.storage.errors import ConfigError

SHARD_BYTES = 128 << 20


def exif_rule(name: str) -> ExifRule:
    """The rule of this name; raises ConfigError for any other."""
    rules: tuple[ExifRule, ...] = get_args(ExifRule)
    for rule in rules:
        if rule == name:
            return rule
    raise ConfigError(f"exif {name!r}: is none of {', '.join(rules)}")


@dataclass(frozen=True)
class PrepareOptions:
    """What to prepare.

    `sources`: `NAME=coco:FOLDER`, `NAME=coco:ANNOTATIONS,IMAGES`, `NAME@SPLIT=coco:ANNOTATIONS,IMAGES`, the same with
    lvis, or `NAME=vg:FOLDER`, any number. `out`: the dataset's URI. `classes`: the number of most frequent synsets that
    make the vocabulary beside the COCO-format classes, None for all. `shard_bytes`: bytes of images in a shard, about.
    `limit`: images of each split, None for all. `max_rejected`: fraction of a source's images or objects that may be
    broken, 0 to 1 (`allowed_rejects`). `exif`: which images are read upright, as their EXIF data say. `made`:
    `NAME=MODEL`, the sources whose masks a model made. `workers`: processes of this machine. `synsets`:
    another table than the shipped `coco_synsets.csv`. `verify`: read every byte of a finished dataset. `runner`,
    `beam`: another engine by Beam's name, and Beam's options as `KEY=VALUE`.
    """

    sources: tuple[str, ...]
    out: str
    classes: int | None = None
    shard_bytes: int = SHARD_BYTES
    limit: int | None = None
    max_rejected: float = 0.01
    exif: ExifRule = "auto"
    made: tuple[str, ...] = ()
    workers: int = 1
    synsets: str | None = None
    verify: bool = False
    runner: str | None = None
    beam: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option, value in (("classes", self.classes), ("limit", self.limit)):
            if value is not None and value < 1:
                raise ConfigError(f"--{option} {value}: must be at least 1; leave it out for all")
        if not 0 <= self.max_rejected <= 1:
            raise ConfigError(f"--max-rejected {self.max_rejected}: must be a fraction, from 0 to 1")
        if self.shard_bytes < 1:
            raise ConfigError(f"--shard-bytes {self.shard_bytes}: must be at least 1")
        self.engine.check_paths(self.out, self.sources)

    @property
    def engine(self) -> Engine:
        """Where the graph runs; the bytes are the same everywhere."""
        return Engine(self.runner, self.beam, self.workers)
