"""The run's original files: that they are there, how large they are, and which version."""

import posixpath

from data_prep.sources.options import CocoFiles, SourceFiles, parse_sources
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import FileInfo, finder, info, list_files
from maskx_model.preflight.findings import Findings
from maskx_model.run_config import ONLY_SOURCE, RunConfig

Inventory = dict[str, tuple[str, FileInfo]]
"""Files of a source: path within it → URI, and its size and version."""


def check_sources(given: tuple[str, ...], run: RunConfig | None, findings: Findings) -> dict[str, Inventory]:
    """Source's name → its files; empty where the run generates its toy world, or where a source is not there."""
    if not given:
        if run is not None and run.data.toy_images is None:
            findings.attempt(_no_sources, run)
        return {}
    parsed = [findings.attempt(parse_sources, (option,)) for option in given]
    if any(found is None for found in parsed):
        return {}
    by_name: dict[str, list[SourceFiles]] = {}
    for files in findings.attempt(parse_sources, given) or []:
        by_name.setdefault(files.source, []).append(files)
    for field in ("stage1_source", "stage2_source") if run is not None else ():
        findings.attempt(_check_read, field, getattr(run, field), list(by_name))
    found = {name: findings.attempt(inventory_of, files) for name, files in by_name.items()}
    return {name: inventory for name, inventory in found.items() if inventory is not None}


def inventory_of(parts: list[SourceFiles]) -> Inventory:
    """One source's annotation files and all files of its image folders; what several parts name stands there once.

    Object storage is listed, a thousand files a request. Raises StorageError if it does not answer.
    """
    folders = {part.images if isinstance(part, CocoFiles) else part.folder for part in parts}
    outer = sorted(folder for folder in folders if not any(_within(folder, other) for other in folders))
    annotations = {part.annotations for part in parts if isinstance(part, CocoFiles)}
    apart = {file for file in annotations if not any(_within(file, folder) for folder in outer)}
    files: Inventory = {posixpath.basename(file): (file, seen) for file in apart if (seen := info(file)) is not None}
    for number, folder in enumerate(outer):
        of_file = finder(folder)
        for path in list_files(folder):
            if (found := of_file(path)) is not None:
                files[f"{number}/{path}"] = (f"{folder}/{path}", found)
    return files


def bytes_of(inventory: Inventory) -> int:
    """The sum of the files' sizes."""
    return sum(found.bytes for _, found in inventory.values())


def _within(uri: str, folder: str) -> bool:
    return posixpath.normpath(uri).startswith(f"{posixpath.normpath(folder)}/")


def _check_read(field: str, wanted: str, names: list[str]) -> None:
    """Raise ConfigError if a stage would read a source that is not given, or the only one of several."""
    if wanted in names or (wanted == ONLY_SOURCE and len(names) == 1):
        return
    raise ConfigError(
        f"{field}: is {wanted}, and the sources given are {', '.join(names)}; give that source too, choose a preset "
        f"that reads yours, or add {field}=NAME to the overrides"
    )


def _no_sources(run: RunConfig) -> None:
    raise ConfigError(
        f"no sources: preset {run.name} brings no data; name the original data, such as coco=coco:FOLDER vg=vg:FOLDER"
    )
