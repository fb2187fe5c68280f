"""What prepare is about to do, on disk beside the dataset so that any worker can look it up.

`plan.json` names the annotation files and the shards, `photographs.json` has each shard's list of images, one
after the other, and `photographs.npy` where each begins; `tables/` tells for each annotation file which image an
image id is. The plan is removed when the dataset is finished.
"""

import io
from dataclasses import dataclass
from mmap import mmap
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.plan.merge import Photograph
from data_prep.sources.json_files import Span, map_file
from data_prep.storage.storage import create, local_copy, read, read_range, write

# Where an image id leads, if not to an image of a shard.
LEFT_OUT, REJECTED, UNKNOWN = -1, -2, -3

TABLE = np.dtype([("id", "<i8"), ("shard", "<i4"), ("photograph", "<i4")])


class PlannedFile(msgspec.Struct, frozen=True):
    """An annotation file: whose it is, where, and its path below the source's folder.

    `categories` are a COCO-format file's class names by id, `synsets` those of an early Visual Genome release by object
    name.
    """

    source: str
    kind: Literal["coco", "lvis", "vg"]
    path: str
    label: str
    categories: dict[int, str] = {}
    synsets: dict[str, str] = {}


class PlannedPhotograph(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An image to write; size and version of its file tell whether it is still the one that was planned.

    `copies` are the versions of the other images' files, None for one that has none.
    """

    photograph: Photograph
    bytes: int
    version: int | str
    copies: tuple[int | str | None, ...] = ()


class PlannedShard(msgspec.Struct, frozen=True):
    """A shard to write; `fingerprint` stands for all that its bytes depend on."""

    path: str
    split: str
    part: str
    fingerprint: str


class Plan(msgspec.Struct, frozen=True):
    """Everything that workers need to know; files and shards are known by their positions here."""

    out: str
    files: list[PlannedFile]
    spans: list[Span]
    shards: list[PlannedShard]


def work_folder(out: str) -> str:
    """Where plan and finished parts of an unfinished dataset are kept."""
    return f"{out}/.prepare"


def counts_uri(out: str) -> str:
    """What workers have counted in the annotation files (`Tally`), once the shards are written."""
    return f"{work_folder(out)}/counts.json"


@dataclass(frozen=True)
class Contents:
    """What goes to disk beside a plan and need not be held any longer: its shards' images, its files' tables."""

    photographs: list[list[PlannedPhotograph]]
    tables: list[npt.NDArray[np.void]]


def write_plan(plan: Plan, contents: Contents) -> None:
    """Write the plan and its contents."""
    folder = work_folder(plan.out)
    starts = [0]
    with create(f"{folder}/photographs.json") as file:
        for listed in contents.photographs:
            starts.append(starts[-1] + file.write(msgspec.json.encode(listed)))
    write(f"{folder}/photographs.npy", _npy(np.array(starts)))
    for number, table in enumerate(contents.tables):
        write(f"{folder}/tables/{number:03d}.npy", _npy(table))
    write(f"{folder}/plan.json", msgspec.json.encode(plan))


def _npy(table: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    return buffer.getvalue()


def _read_npy(uri: str) -> npt.NDArray[Any]:
    table: npt.NDArray[Any] = np.load(local_copy(uri), mmap_mode="r")  # one for all workers of this machine
    return table


def read_plan(out: str) -> Plan:
    """The plan of the dataset that is being made at `out`."""
    return msgspec.json.decode(read(f"{work_folder(out)}/plan.json"), type=Plan)


def read_photographs(out: str, shard: int) -> list[PlannedPhotograph]:
    """A shard's images, in order."""
    folder = work_folder(out)
    start, end = _read_npy(f"{folder}/photographs.npy")[shard : shard + 2].tolist()
    data = read_range(f"{folder}/photographs.json", start, end - start)
    return msgspec.json.decode(data, type=list[PlannedPhotograph])


def read_table(out: str, file: int) -> npt.NDArray[np.void]:
    """A file's image ids, ascending, with shard and position there (dtype TABLE)."""
    return _read_npy(f"{work_folder(out)}/tables/{file:03d}.npy")


class MappedFiles(dict[int, mmap]):
    """The plan's annotation files by number, mapped when first asked for."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, number: int) -> mmap:
        return self.setdefault(number, map_file(self._plan.files[number].path))


def find(table: npt.NDArray[np.void], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """The table's row for each id, int64[N] → TABLE[N]; its shard is UNKNOWN for an id that the table lacks."""
    if not len(table):
        found = np.zeros(len(ids), TABLE)
        found["shard"] = UNKNOWN
        return found
    positions = np.minimum(np.searchsorted(table["id"], ids), len(table) - 1)
    found = table[positions].copy()
    found["shard"][found["id"] != ids] = UNKNOWN
    return found
