"""The plan of a dataset, on disk beside it so that any worker can read it.

`plan.json` names the annotation files and the shards, `images.json` has each shard's list of images, one after the
other, and `images.npy` the byte at which each list begins; `tables/` has each annotation file's table of image ids
(`tables`). The plan is removed when the dataset is finished.
"""

import io
import secrets
from dataclasses import dataclass
from mmap import mmap
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.exif_rule import ExifRule
from data_prep.plan.merge import MergedImage
from data_prep.sources.json_files import ByteRange, map_file, quote_constants
from data_prep.storage.errors import DataError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import create, exists, local_copy, read_range, remove, write


class PlannedFile(msgspec.Struct, frozen=True):
    """An annotation file at `path`, a path or URI; `label` is its name in messages and counts.

    `categories` are a COCO-format file's class names by id, `synsets` those of an early Visual Genome release by object
    name. `quoted`: the byte ranges are those of the copy that `quote_constants` makes. `made_by`: the model that made
    its masks, as far as they do not say it themselves.
    """

    source: str
    kind: Literal["coco", "lvis", "vg"]
    path: str
    label: str
    categories: dict[int, str] = {}
    synsets: dict[str, str] = {}
    quoted: bool = False
    made_by: str | None = None


class PlannedImage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An image to write; its file's size in bytes and version show whether the file has changed since.

    `copy_versions` are those of the other copies' files, None for a copy without a file. `rejected`: it was, while
    planning; its file may be copied all the same.
    """

    merged: MergedImage
    bytes: int
    version: int | str
    copy_versions: tuple[int | str | None, ...] = ()
    rejected: bool = False


class PlannedShard(msgspec.Struct, frozen=True):
    """A shard to write; `fingerprint` is a hash of all that its bytes depend on.

    Of one that is not `written`, held-out images beyond the limit or rejected, training images are kept from being
    copies.
    """

    path: str
    split: str
    part: str
    fingerprint: str
    written: bool = True


Images = Literal["write", "read", "skip"]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is known by to others that write to the same place."""

    run: str = msgspec.field(default_factory=lambda: secrets.token_hex(8))


class Plan(Run, frozen=True):
    """All that workers need; the number of a file, byte range or shard is its position here.

    `images`: whether images are written into shards, read and not written, or not even read; `exif`: which are read
    upright.
    """

    out: str
    files: list[PlannedFile]
    byte_ranges: list[ByteRange]
    shards: list[PlannedShard]
    images: Images = "write"
    exif: ExifRule = "auto"


def work_folder(out: str) -> str:
    """The folder of an unfinished dataset's plan and of its finished shards' results."""
    return f"{out}/.prepare"


def counts_uri(out: str) -> str:
    """The URI of what workers counted in the annotation files (`Counts`), once the shards are written."""
    return f"{work_folder(out)}/counts.json"


@dataclass(frozen=True)
class Contents:
    """The large part of a plan, which is only needed on disk: its shards' images, its files' tables."""

    images: list[list[PlannedImage]]
    tables: list[npt.NDArray[np.void]]


def write_plan(plan: Plan, contents: Contents) -> None:
    """Write the plan and its contents; there is no plan meanwhile, so that no other run takes these for its own."""
    folder = work_folder(plan.out)
    remove(_plan_uri(plan.out))
    starts = [0]
    with create(f"{folder}/images.json") as file:
        for listed in contents.images:
            starts.append(starts[-1] + file.write(msgspec.json.encode(listed)))
    write(f"{folder}/images.npy", _npy(np.array(starts)))
    for number, table in enumerate(contents.tables):
        write(f"{folder}/tables/{number:03d}.npy", _npy(table))
    write(_plan_uri(plan.out), msgspec.json.encode(plan))


def _plan_uri(out: str) -> str:
    return f"{work_folder(out)}/plan.json"


def _npy(table: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    return buffer.getvalue()


def _read_npy(uri: str) -> npt.NDArray[Any]:
    table: npt.NDArray[Any] = np.load(local_copy(uri), mmap_mode="r")  # one for all workers of this machine
    return table


def read_plan(out: str) -> Plan:
    """Read the plan of the dataset that is being made at `out`."""
    return read_own(_plan_uri(out), Plan, delete=work_folder(out))


def require_own(plan: Plan) -> None:
    """Raise DataError if the plan on disk is of another run: its shards would be taken for this one's."""
    uri = _plan_uri(plan.out)
    if not exists(uri) or read_own(uri, Run, delete=work_folder(plan.out)).run != plan.run:
        raise another_run(plan.out)


def another_run(out: str) -> DataError:
    """The error where another run writes to the same place."""
    return DataError(f"{out}: another run writes there too; wait until it has ended, and give the command again")


def read_planned_images(out: str, shard: int) -> list[PlannedImage]:
    """Read a shard's images, in order."""
    folder = work_folder(out)
    start, end = _read_npy(f"{folder}/images.npy")[shard : shard + 2].tolist()
    data = read_range(f"{folder}/images.json", start, end - start)
    return msgspec.json.decode(data, type=list[PlannedImage])


def read_table(out: str, file: int) -> npt.NDArray[np.void]:
    """A file's table of image ids (`tables`)."""
    return _read_npy(f"{work_folder(out)}/tables/{file:03d}.npy")


class MappedFiles(dict[int, mmap]):
    """The plan's annotation files by number, each mapped at its first use."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, number: int) -> mmap:
        file = self._plan.files[number]
        if file.quoted:
            quote_constants(file.path)
        return self.setdefault(number, map_file(file.path))
