"""Whether the dataset that the options describe is there already: `run.json` and the manifest say so.

A finished dataset costs a few requests: its files are listed, and hashed only where their versions are not those of
`run.json`.
"""

import hashlib
import logging
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import msgspec

from data_prep.format.manifest import Manifest, manifest_uri, read_manifest
from data_prep.inspect.verify import find_changes, find_problems
from data_prep.plan.plan import Contents, Plan, work_folder
from data_prep.plan.planning import Planned
from data_prep.prepare.publish import Parameters
from data_prep.storage.errors import DataError
from data_prep.storage.own_files import read_own
from data_prep.storage.scratch import is_in_scratch
from data_prep.storage.storage import absolute, exists, finder, is_folder, is_on_disk, list_files, remove, write

logger = logging.getLogger(__name__)


class RunRecord(msgspec.Struct, frozen=True):
    """`run.json`: when, where and with what a dataset was made, and from which state of the files.

    `folders`: those of each source's images, but for unpacked zips. `versions`: of each shard when it was written, by
    its path (`FileInfo.version`): as long as they are the same, its bytes are, too. A dataset that was copied has
    others.
    """

    fingerprint: str
    started: str
    host: str
    python: str
    maskx: str
    sources: tuple[str, ...]
    folders: dict[str, list[str]] = {}
    versions: dict[str, int | str] = {}


def run_uri(out: str) -> str:
    """The URI of a dataset's `run.json`."""
    return f"{out}/run.json"


def describe_run(plan: Plan, contents: Contents, sources: tuple[str, ...]) -> RunRecord:
    """The record of a run that starts now; `sources` are its `--source` options."""
    shards = "".join(shard.fingerprint for shard in plan.shards)
    return RunRecord(
        fingerprint=hashlib.sha256(shards.encode()).hexdigest(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        python=platform.python_version(),
        maskx=version("maskx"),
        sources=sources,
        folders=_folders(contents),
    )


def _folders(contents: Contents) -> dict[str, list[str]]:
    copies = (copy for shard in contents.images for planned in shard for copy in planned.merged.copies)
    folders: dict[str, list[str]] = {}
    for source, folder in sorted({(copy.source, copy.folder) for copy in copies}):
        if not (is_on_disk(folder) and is_in_scratch(folder)):
            folders.setdefault(source, []).append(absolute(folder))
    return folders


def read_run(out: str) -> RunRecord | None:
    """Read `run.json`; None where a dataset has none, as a copy of it need not."""
    return read_own(run_uri(out), RunRecord) if exists(run_uri(out)) else None


def write_run(plan: Plan, run: RunRecord) -> None:
    """Write `run.json` when all shards of the plan are written."""
    find = finder(plan.out)
    found = {shard.path: find(shard.path) for shard in plan.shards}
    versions = {path: info.version for path, info in found.items() if info}
    encoded = msgspec.json.encode(msgspec.structs.replace(run, versions=versions))
    write(run_uri(plan.out), msgspec.json.format(encoded, indent=1))


def finished_dataset(
    out: str, planned: Planned, parameters: Parameters, run: RunRecord, verify: bool
) -> Manifest | None:
    """The manifest of the dataset at `out` if it is whole and matches the plan; else None, and no manifest is left.

    `verify`: hash every file and read every record, as `maskx data verify` does. Raises DataError if another dataset
    or other files are there.
    """
    if not exists(manifest_uri(out)):
        if (exists(out) and not is_folder(out)) or (list_files(out) and not is_folder(work_folder(out))):
            raise DataError(f"{out}: holds other files; choose an empty or new folder for --out")
        return None
    manifest = read_manifest(out)
    if manifest.sources != planned.sources or manifest.parameters != parameters:
        raise DataError(f"{out}: holds a dataset made from other sources or options; choose another --out or remove it")
    before = read_run(out)
    if before and before.fingerprint == run.fingerprint:
        problems = find_problems(out) if verify else find_changes(out, before.versions)
        if not problems:
            return manifest
        logger.info("%s", problems[0])
    logger.info("%s no longer matches its files; making it anew", out)
    remove(manifest_uri(out))
    for path in {shard.path for shard in manifest.shards} - {shard.path for shard in planned.plan.shards}:
        remove(f"{out}/{path}")
    return None
