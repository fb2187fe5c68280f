"""The run's original files: that they are there, and how large they are."""

import posixpath
from dataclasses import dataclass

from data_prep.sources.options import CocoFiles, SourceFiles, parse_sources
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import finder, info, list_files
from maskx_model.preflight.findings import Findings
from maskx_model.run_config import RunConfig


@dataclass(frozen=True)
class Size:
    """Files and bytes of a source."""

    files: int
    bytes: int


def check_sources(given: tuple[str, ...], run: RunConfig | None, findings: Findings) -> dict[str, Size]:
    """Source's name → its size; empty where the run generates its toy world, or where a source is not there."""
    if not given:
        if run is not None and run.data.toy_images is None:
            findings.attempt(_no_sources, run)
        return {}
    parsed = [findings.attempt(parse_sources, (option,)) for option in given]
    if any(found is None for found in parsed):
        return {}
    found = findings.attempt(parse_sources, given) or []
    by_name: dict[str, list[SourceFiles]] = {}
    for files in found:
        by_name.setdefault(files.source, []).append(files)
    sizes = {name: findings.attempt(size_of, files) for name, files in by_name.items()}
    return {name: size for name, size in sizes.items() if size is not None}


def size_of(parts: list[SourceFiles]) -> Size:
    """Files and bytes of one source's annotation files and image folders; what several name counts once.

    Object storage is listed, a thousand files a request. Raises StorageError if it does not answer.
    """
    folders = {part.images if isinstance(part, CocoFiles) else part.folder for part in parts}
    outer = {folder for folder in folders if not any(_within(folder, other) for other in folders)}
    annotations = {part.annotations for part in parts if isinstance(part, CocoFiles)}
    apart = {file for file in annotations if not any(_within(file, folder) for folder in outer)}
    sizes = [found.bytes for file in apart if (found := info(file)) is not None]
    for folder in outer:
        of_file = finder(folder)
        sizes += [found.bytes for file in list_files(folder) if (found := of_file(file)) is not None]
    return Size(len(sizes), sum(sizes))


def _within(uri: str, folder: str) -> bool:
    return posixpath.normpath(uri).startswith(f"{posixpath.normpath(folder)}/")


def _no_sources(run: RunConfig) -> None:
    raise ConfigError(
        f"no sources: preset {run.name} brings no data; name the original data, such as coco=coco:FOLDER vg=vg:FOLDER"
    )
