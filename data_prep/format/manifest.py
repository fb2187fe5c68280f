"""`manifest.json`: what a dataset consists of and what it was made from. Written last: without it there is no dataset.

Nothing in it depends on when, where or how the dataset was made: same input, same bytes.
"""

from typing import Literal

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import exists, read, sha256, write

FORMAT_VERSION = "1.5"


class SourceFile(msgspec.Struct, frozen=True):
    """An annotation file that was read: its path below the source's folder, which begins with folders above that one
    where two files of the source would have the same, and what it held."""

    path: str
    bytes: int
    sha256: str


class Source(msgspec.Struct, frozen=True):
    """One source: `kind` is its file format (`coco`, `lvis` or `vg`), `exhaustive` are the classes that it annotates
    exhaustively."""

    name: str
    kind: str
    files: tuple[SourceFile, ...]
    exhaustive: tuple[str, ...]


class Shard(msgspec.Struct, frozen=True):
    """A tar of `samples` images at `path` below the dataset's URI."""

    path: str
    split: str
    part: str
    samples: int
    bytes: int
    sha256: str


ToldBy = Literal["coco_id", "flickr_id", "file", "content", "id_content_disagree"]


class HeldOut(msgspec.Struct, frozen=True, order=True):
    """An image that stays out of training for an image held out of it, whose key is `key`.

    `by`: what it was matched by. `coco_id` and `flickr_id` are the image's own ids, `file` is its file's path or
    URI, `content` is what its file shows;
    `id_content_disagree`: its ids name that image (which need not be held out), but its file shows another.
    """

    source: str
    id: int
    by: ToldBy
    key: str


class Manifest(msgspec.Struct, frozen=True):
    """The dataset.

    `parameters`: what `prepare` was asked for. `counts`: split → part → what → how many (`photographs`, and objects
    and masks by source). `left_out` and `rejected`: source → reason → how many; the former by rule, the latter for
    being broken (each of those is a row of `rejects.parquet`). `repaired` and `noted`, likewise: changes that cannot
    be wrong, of images and objects that are used, and what looks odd and is used unchanged. `files`: the other files,
    path → SHA-256. `held_out`: every image that left training because it is a copy of a held-out image, or its ids and
    content disagree.
    """

    version: str
    sources: tuple[Source, ...]
    parameters: dict[str, str | int | float | bool | None]
    counts: dict[str, dict[str, dict[str, int]]]
    left_out: dict[str, dict[str, int]]
    rejected: dict[str, dict[str, int]]
    files: dict[str, str]
    shards: tuple[Shard, ...]
    held_out: tuple[HeldOut, ...] = ()
    repaired: dict[str, dict[str, int]] = {}
    noted: dict[str, dict[str, int]] = {}


def manifest_uri(dataset: str) -> str:
    """Where a dataset's manifest stands."""
    return f"{dataset.rstrip('/')}/manifest.json"


def dataset_hash(dataset: str) -> str:
    """SHA-256 of the dataset's manifest, which holds the hashes of all its files; raises DataError if there is none."""
    return sha256(manifest_uri(dataset))


def write_manifest(dataset: str, manifest: Manifest) -> None:
    """Write the manifest: from this moment on the dataset exists."""
    encoded = msgspec.json.encode(manifest, order="deterministic")
    write(manifest_uri(dataset), msgspec.json.format(encoded, indent=1) + b"\n")


def read_manifest(dataset: str) -> Manifest:
    """Read the manifest; raises DataError if there is none, or if it is of a newer major version."""
    uri = manifest_uri(dataset)
    if not exists(uri):
        raise DataError(f"{dataset}: no manifest.json, so no finished dataset; run `maskx data prepare` to write one")
    data = read(uri)
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if int(version.split(".")[0]) > int(FORMAT_VERSION.split(".", maxsplit=1)[0]):
            raise DataError(f"{uri}: format version {version} is newer than {FORMAT_VERSION}; upgrade maskx")
        return msgspec.json.decode(data, type=Manifest)
    except (*JSON_ERRORS, ValueError) as error:
        raise DataError(f"{uri}: not a dataset manifest ({error}); prepare the dataset again") from None


class _Version(msgspec.Struct):
    version: str
