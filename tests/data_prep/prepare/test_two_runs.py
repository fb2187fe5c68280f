"""Two runs that write to one place: the one that is overtaken ends, and no manifest names the other's shards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.beam.engine import Engine
from data_prep.beam.graph import write_shards
from data_prep.format.manifest import read_manifest
from data_prep.inspect.verify import find_problems
from data_prep.plan.plan import Contents, MappedFiles, counts_uri, write_plan
from data_prep.plan.planning import Planned, make_plan
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.prepare.publish import publish
from data_prep.shards.held_out_copies import HeldOutGalleries
from data_prep.shards.write import write_shard
from data_prep.sources.counts import Counts
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import DataError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import list_files
from tests.data_prep.small_sources import coco_image, coco_object, write_coco

ANOTHER = "out: another run writes there too; wait until it has ended"


def made_plan(folder: Path, limit: int) -> tuple[Planned, Contents]:
    """The plan of a run of so many images."""
    return make_plan(f"{folder}/out", parse_sources((f"mine=coco:{folder}/mine",)), 1 << 20, limit)


def planned(folder: Path, limit: int) -> Planned:
    """A run of so many images that has written its plan."""
    found, contents = made_plan(folder, limit)
    write_plan(found.plan, contents)
    return found


def publish_own(run: Planned) -> None:
    publish(run, read_own(counts_uri(run.plan.out), Counts), {}, {}, None, 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    numbers = range(1, 10)
    write_coco(tmp_path / "mine", [coco_image(n) for n in numbers], [coco_object(n, n) for n in numbers])
    return tmp_path


def test_shards_of_another_run_are_not_published(folder: Path) -> None:
    first = planned(folder, 4)
    write_shards(first.plan.out, Engine(None, (), 1))
    second = planned(folder, 9)
    write_shards(second.plan.out, Engine(None, (), 1))
    with pytest.raises(DataError, match=ANOTHER):
        publish_own(first)
    assert not (folder / "out/manifest.json").exists()
    publish_own(second)
    assert read_manifest(second.plan.out).counts["train"]["mine"]["photographs"] == 9
    assert find_problems(second.plan.out) == []


def test_a_run_whose_plan_another_has_replaced_publishes_nothing(folder: Path) -> None:
    first = planned(folder, 9)
    write_shards(first.plan.out, Engine(None, (), 1))
    planned(folder, 9)
    with pytest.raises(DataError, match=ANOTHER):
        publish_own(first)
    assert not (folder / "out/manifest.json").exists()


def test_a_run_whose_plan_another_begins_to_replace_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run is stopped between its images and its plan."""
    first = planned(folder, 9)
    second, contents = made_plan(folder, 4)

    def stopped(uri: str, data: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("data_prep.plan.plan.write", stopped)
        write_plan(second.plan, contents)
    with pytest.raises(DataError, match=r"plan\.json: no such file"):
        write_shards(first.plan.out, Engine(None, (), 1))
    assert list_files(folder / "out/train") == []


def test_a_shard_that_is_being_written_while_another_run_plans_is_not_finished(folder: Path) -> None:
    """The other run has planned when the shard's images have been read, and before it takes its name."""
    first = planned(folder, 9)

    def references() -> Iterator[bytes]:
        yield from ()
        planned(folder, 4)

    with pytest.raises(DataError, match=ANOTHER):
        write_shard(first.plan, 0, references(), MappedFiles(first.plan), HeldOutGalleries(first.plan))
    assert list_files(folder / "out/train") == []


def test_an_overtaken_run_removes_no_shard_of_the_other(folder: Path) -> None:
    first = planned(folder, 4)
    write_shards(first.plan.out, Engine(None, (), 1))
    planned(folder, 4)
    (folder / "out/train/mine-000009.tar").write_bytes(b"the other's")
    with pytest.raises(DataError, match=ANOTHER):
        publish_own(first)
    assert (folder / "out/train/mine-000009.tar").exists()


def test_the_same_command_again_completes_what_another_run_has_left(folder: Path) -> None:
    first = planned(folder, 9)
    write_shards(first.plan.out, Engine(None, (), 1))
    manifest = prepare(PrepareOptions(sources=(f"mine=coco:{folder}/mine",), out=first.plan.out, limit=9))
    assert manifest.counts["train"]["mine"]["photographs"] == 9
