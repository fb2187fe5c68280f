"""`manifest.json`: what a run made of what. Written last: without it the output is not whole."""

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import exists, read
from maskx_model.artifacts.origin import Origin

NAMED = 5
"""The most unreadable images that are named in text."""


class Shard(msgspec.Struct, frozen=True):
    """A file of predictions (`rows.SCHEMA`): its name in the output, its images, and its bytes."""

    name: str
    images: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`images`: all that were predicted on, those that could not be read included; `rejected`: the number of those, and
    `problems` why, of some; `objects`: found in all others."""

    made_from: Origin
    model: str
    images: int
    objects: int
    rejected: int
    problems: tuple[str, ...]
    shards: tuple[Shard, ...]


def write_manifest(out: str, manifest: Manifest) -> None:
    """Write the manifest: from this moment on the run is finished."""
    write_own(_uri(out), manifest)


def read_manifest(out: str) -> Manifest | None:
    """The manifest of a finished run; None where none is finished. Raises DataError if it is that of something else."""
    if not exists(_uri(out)):
        return None
    try:
        return msgspec.json.decode(read(_uri(out)), type=Manifest)
    except JSON_ERRORS as error:
        raise DataError(f"{_uri(out)}: not the manifest of predictions ({error}); choose another folder") from None


def describe(manifest: Manifest, out: str) -> list[str]:
    """Lines for people."""
    read_well = manifest.images - manifest.rejected
    lines = [f"{read_well:,} images segmented, {manifest.objects:,} objects found by model {manifest.model}"]
    if manifest.rejected:
        more = "" if manifest.rejected <= len(manifest.problems) else ", among them"
        lines.append(f"{manifest.rejected:,} images could not be read{more}:")
        lines += [f"  {problem}" for problem in manifest.problems]
    return [*lines, f"results.json, images.json and {len(manifest.shards)} Parquet files are in {out}"]


def _uri(out: str) -> str:
    return f"{out}/manifest.json"
