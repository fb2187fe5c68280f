"""The result of a shard, beside it in the work folder until the dataset is finished."""

import msgspec

from data_prep.format.index import IndexRow
from data_prep.format.manifest import HeldOut, Shard
from data_prep.plan.plan import Plan, another_run, work_folder
from data_prep.shards.build_record import ShardContent
from data_prep.shards.held_out_copies import pictures_path
from data_prep.sources.counts import Counts
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import exists, sha256, write


class ShardSummary(msgspec.Struct, frozen=True):
    """What became of a shard.

    `held_out`: the images excluded by what they show. `pictures`: for a shard held out of training, the SHA-256 of the
    descriptions that it leaves for comparison.
    """

    fingerprint: str
    shard: Shard
    content: ShardContent
    counts: Counts
    held_out: list[HeldOut]
    pictures: str | None


class ShardResult(ShardSummary, frozen=True):
    """With an index row for each image, and the hash of its file's bytes."""

    rows: list[IndexRow]
    digests: list[str]


class _Row(msgspec.Struct):
    key: str
    ids: dict[str, int]


class _Contents(msgspec.Struct):
    """The part of a `ShardResult` by which images are compared."""

    rows: list[_Row]
    digests: list[str]


def result_path(plan: Plan, number: int) -> str:
    """The path of a shard's result."""
    return f"{work_folder(plan.out)}/shards/{plan.shards[number].path}.json"


def write_result(plan: Plan, number: int, result: ShardResult) -> None:
    """Write a shard's result, which makes the shard finished."""
    write(result_path(plan, number), msgspec.json.encode(result))


def read_summary(plan: Plan, number: int) -> ShardSummary:
    """Read what became of a finished shard."""
    return read_own(result_path(plan, number), ShardSummary)


def read_own_summary(plan: Plan, number: int) -> ShardSummary:
    """Read what became of a finished shard of this plan; raises DataError if another run has written it since."""
    summary = read_summary(plan, number)
    if summary.fingerprint != plan.shards[number].fingerprint:
        raise another_run(plan.out)
    return summary


def read_rows(plan: Plan, number: int) -> list[IndexRow]:
    """Read a finished shard's index rows."""
    return read_own(result_path(plan, number), ShardResult).rows


def read_contents(plan: Plan, number: int) -> list[tuple[str, str, str]]:
    """A finished shard's images: key, canonical source and hash of the file's bytes."""
    result = read_own(result_path(plan, number), _Contents)
    return [(row.key, next(iter(row.ids)), each) for row, each in zip(result.rows, result.digests, strict=True)]


def is_finished(plan: Plan, number: int) -> bool:
    """Whether an earlier run wrote this very shard, and its bytes are still the same."""
    tar = f"{plan.out}/{plan.shards[number].path}"
    if not (exists(tar) and exists(result_path(plan, number))):
        return False
    result, pictures = read_summary(plan, number), pictures_path(plan, number)
    if result.fingerprint != plan.shards[number].fingerprint or result.shard.sha256 != sha256(tar):
        return False
    return result.pictures is None or (exists(pictures) and result.pictures == sha256(pictures))
