"""Whether the dataset that the options describe is there already: `run.json` and the manifest say so."""

import hashlib
import logging
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import msgspec

from data_prep.format.manifest import Manifest, manifest_uri, read_manifest
from data_prep.inspect.verify import find_problems
from data_prep.plan.plan import Plan, work_folder
from data_prep.plan.planning import Planned
from data_prep.prepare.publish import Parameters
from data_prep.storage.errors import DataError
from data_prep.storage.storage import exists, is_folder, list_files, read, remove

logger = logging.getLogger(__name__)


class RunRecord(msgspec.Struct, frozen=True):
    """`run.json`: when, where and with what a dataset was made, and from which state of the files."""

    fingerprint: str
    started: str
    host: str
    python: str
    maskx: str
    sources: tuple[str, ...]


def run_uri(out: str) -> str:
    """The URI of a dataset's `run.json`."""
    return f"{out}/run.json"


def describe_run(plan: Plan, sources: tuple[str, ...]) -> RunRecord:
    """The record of a run that starts now; `sources` are its `--source` options."""
    shards = "".join(shard.fingerprint for shard in plan.shards)
    return RunRecord(
        fingerprint=hashlib.sha256(shards.encode()).hexdigest(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        python=platform.python_version(),
        maskx=version("maskx"),
        sources=sources,
    )


def finished_dataset(out: str, planned: Planned, parameters: Parameters, run: RunRecord) -> Manifest | None:
    """The manifest of the dataset at `out` if it is whole and matches the plan; else None, and no manifest is left.

    Raises DataError if another dataset or other files are there.
    """
    if not exists(manifest_uri(out)):
        if (exists(out) and not is_folder(out)) or (list_files(out) and not is_folder(work_folder(out))):
            raise DataError(f"{out}: holds other files; choose an empty or new folder for --out")
        return None
    manifest = read_manifest(out)
    if manifest.sources != planned.sources or manifest.parameters != parameters:
        raise DataError(f"{out}: holds a dataset made from other sources or options; choose another --out or remove it")
    if exists(run_uri(out)):
        before = msgspec.json.decode(read(run_uri(out)), type=RunRecord)
        if before.fingerprint == run.fingerprint and not find_problems(out):
            return manifest
    logger.info("%s no longer matches its files; making it anew", out)
    remove(manifest_uri(out))
    return None
