"""Prepare: original files → dataset. Plan, let Beam write the shards, publish; `graph.py` is the middle part."""

import hashlib
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from threading import Event, Thread

import msgspec
from tqdm import tqdm

from data_prep.engines import Engine
from data_prep.format.errors import ConfigError, DataError, StorageError
from data_prep.format.manifest import Manifest, manifest_uri, read_manifest
from data_prep.format.storage import exists, is_folder, list_files, read, remove, write
from data_prep.jobs import RunJob, starting
from data_prep.plan import counts_uri, work_folder, write_plan
from data_prep.planning import Planned, make_plan
from data_prep.publish import Parameters, check_ceiling, publish
from data_prep.sources.options import parse_sources
from data_prep.tally import Tally
from data_prep.verify import find_problems
from data_prep.vocabulary import read_synset_table

SHARD_BYTES = 128 << 20


@dataclass(frozen=True)
class PrepareOptions:
    """What to prepare.

    `sources`: `NAME=coco:FOLDER`, `NAME=coco:ANNOTATIONS,IMAGES`, `NAME@SPLIT=coco:ANNOTATIONS,IMAGES`, the same with
    lvis, or `NAME=vg:FOLDER`, any number. `out`: the dataset's URI. `classes`: how many of the most frequent synsets
    make the vocabulary beside the COCO-format classes, None for all. `shard_bytes`: photographs in a shard, about.
    `limit`: photographs of each split, None for all. `max_rejected`: share of a source's photographs or objects that
    may be broken, 0 to 1. `workers`: processes of this machine. `synsets`: another table than the shipped
    `coco_synsets.csv`. `runner`, `beam`: another engine by Beam's name, and Beam's options as `KEY=VALUE`.
    """

    sources: tuple[str, ...]
    out: str
    classes: int | None = None
    shard_bytes: int = SHARD_BYTES
    limit: int | None = None
    max_rejected: float = 0.01
    workers: int = 1
    synsets: str | None = None
    runner: str | None = None
    beam: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option, value in (("classes", self.classes), ("limit", self.limit)):
            if value is not None and value < 1:
                raise ConfigError(f"--{option} {value}: must be at least 1; leave it out for all")
        if not 0 <= self.max_rejected <= 1:
            raise ConfigError(f"--max-rejected {self.max_rejected}: is a share, from 0 to 1")
        if self.shard_bytes < 1:
            raise ConfigError(f"--shard-bytes {self.shard_bytes}: must be at least 1")
        self.engine.check_places(self.out, self.sources)

    @property
    def engine(self) -> Engine:
        """Where it runs; the bytes are the same everywhere."""
        return Engine(self.runner, self.beam, self.workers)


class _Run(msgspec.Struct, frozen=True):
    """`run.json`: when, where and with what a dataset was made, and from which state of the files."""

    fingerprint: str
    started: str
    host: str
    python: str
    maskx: str
    sources: tuple[str, ...]


def prepare(options: PrepareOptions) -> Manifest:
    """Make the dataset and return its manifest; a finished one that is still what is asked for is verified and kept.

    An unfinished one is completed: shards that stand are verified and kept. Raises DataError or ConfigError; then no
    manifest has been written.
    """
    with starting(options.engine, options.sources) as run_job:
        return _prepare(options, run_job)


def _prepare(options: PrepareOptions, run_job: RunJob) -> Manifest:
    out = options.out.rstrip("/")
    table = read_synset_table(options.synsets)
    _say("reading what the sources list")
    planned, contents = make_plan(out, parse_sources(options.sources), options.shard_bytes, options.limit)
    check_ceiling(planned.tally, options.max_rejected)
    parameters = _parameters(options, table)
    run = _describe_run(options, planned)
    if kept := _finished(out, planned, parameters, run):
        _say(f"{out} is finished already; verified and kept")
        return kept
    write_plan(planned.plan, contents)
    shards = len(planned.plan.shards)
    _say(f"writing {sum(map(len, contents.photographs))} photographs into {shards} shards")
    # The workers have the contents on disk; here they would only take room. What is left of planning goes through
    # one block of bytes: a few thousand small objects, each where it was made, would keep most of that room taken.
    packed = msgspec.json.encode(planned)
    del planned, contents
    planned = msgspec.json.decode(packed, type=Planned)
    with _progress(out, shards):
        run_job("data_prep.graph:write_shards", out)
    scanned = msgspec.json.decode(read(counts_uri(out)), type=Tally)
    write(f"{out}/run.json", msgspec.json.format(msgspec.json.encode(run), indent=1))
    return publish(planned, scanned, table, parameters, options.classes, options.max_rejected)


def _say(text: str) -> None:
    print(f"prepare: {text}", file=sys.stderr, flush=True)


def _parameters(options: PrepareOptions, table: dict[str, str]) -> Parameters:
    return {
        "classes": options.classes,
        "limit": options.limit,
        "max_rejected": options.max_rejected,
        "shard_bytes": options.shard_bytes,
        "synsets_sha256": hashlib.sha256(msgspec.json.encode(table, order="deterministic")).hexdigest(),
    }


def _describe_run(options: PrepareOptions, planned: Planned) -> _Run:
    shards = "".join(shard.fingerprint for shard in planned.plan.shards)
    return _Run(
        fingerprint=hashlib.sha256(shards.encode()).hexdigest(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        python=platform.python_version(),
        maskx=version("maskx"),
        sources=options.sources,
    )


def _finished(out: str, planned: Planned, parameters: Parameters, run: _Run) -> Manifest | None:
    """The dataset at `out` if it is whole and what is asked for; None, and no manifest there, if it is to be made.

    Raises DataError if something else stands there.
    """
    if not exists(manifest_uri(out)):
        if (exists(out) and not is_folder(out)) or (list_files(out) and not is_folder(work_folder(out))):
            raise DataError(f"{out}: holds other files; choose an empty or new folder for --out")
        return None
    manifest = read_manifest(out)
    if manifest.sources != planned.sources or manifest.parameters != parameters:
        raise DataError(f"{out}: holds a dataset made from other sources or options; choose another --out or remove it")
    if exists(f"{out}/run.json"):
        before = msgspec.json.decode(read(f"{out}/run.json"), type=_Run)
        if before.fingerprint == run.fingerprint and not find_problems(out):
            return manifest
    _say(f"{out} is not what it should be any more; making it anew")
    remove(manifest_uri(out))
    return None


@contextmanager
def _progress(out: str, shards: int) -> Iterator[None]:
    """A bar on stderr while shards are being written, by whichever process."""
    done = Event()

    def watch() -> None:
        def advance() -> None:
            with suppress(StorageError):  # those who do the work will tell
                finished = sum(path.endswith(".json") for path in list_files(f"{work_folder(out)}/shards"))
                bar.update(finished - bar.n)

        with tqdm(total=shards, desc="prepare", unit="shard", file=sys.stderr) as bar:
            while not done.wait(1):
                advance()
            advance()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
