"""Original files → dataset: plan, let Beam write the shards, publish. `graph.py` is the middle part."""

import hashlib
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from threading import Event, Thread

import msgspec
from tqdm import tqdm

from data_prep.beam.jobs import Run
from data_prep.format.manifest import Manifest, manifest_uri, read_manifest
from data_prep.inspect.verify import find_problems
from data_prep.plan.plan import counts_uri, work_folder, write_plan
from data_prep.plan.planning import Planned, make_plan
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.publish import Parameters, check_ceiling, publish
from data_prep.prepare.vocabulary import read_synset_table
from data_prep.sources.counts import Tally
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import DataError, StorageError
from data_prep.storage.storage import exists, is_folder, list_files, read, remove, write


class _Provenance(msgspec.Struct, frozen=True):
    """`run.json`: when, where and with what a dataset was made, and from which state of the files."""

    fingerprint: str
    started: str
    host: str
    python: str
    maskx: str
    sources: tuple[str, ...]


def make_dataset(options: PrepareOptions, run: Run) -> Manifest:
    """As `prepare` says; `run` writes the shards of the plan that then stands."""
    table = read_synset_table(options.synsets)
    _say("reading what the sources list")
    planned, contents = make_plan(options.out, parse_sources(options.sources), options.shard_bytes, options.limit)
    check_ceiling(planned.tally, options.max_rejected)
    parameters = _parameters(options, table)
    provenance = _describe_run(options, planned)
    if kept := _finished(options.out, planned, parameters, provenance):
        _say(f"{options.out} is finished already; verified and kept")
        return kept
    write_plan(planned.plan, contents)
    shards = len(planned.plan.shards)
    _say(f"writing {sum(map(len, contents.photographs))} images into {shards} shards")
    # The workers have the contents on disk; here they would only take room. What is left of planning goes through
    # one block of bytes: a few thousand small objects, each where it was made, would keep most of that room taken.
    packed = msgspec.json.encode(planned)
    del planned, contents
    planned = msgspec.json.decode(packed, type=Planned)
    with _progress(options.out, shards):
        run()
    scanned = msgspec.json.decode(read(counts_uri(options.out)), type=Tally)
    write(f"{options.out}/run.json", msgspec.json.format(msgspec.json.encode(provenance), indent=1))
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


def _describe_run(options: PrepareOptions, planned: Planned) -> _Provenance:
    shards = "".join(shard.fingerprint for shard in planned.plan.shards)
    return _Provenance(
        fingerprint=hashlib.sha256(shards.encode()).hexdigest(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        python=platform.python_version(),
        maskx=version("maskx"),
        sources=options.sources,
    )


def _finished(out: str, planned: Planned, parameters: Parameters, provenance: _Provenance) -> Manifest | None:
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
        before = msgspec.json.decode(read(f"{out}/run.json"), type=_Provenance)
        if before.fingerprint == provenance.fingerprint and not find_problems(out):
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
