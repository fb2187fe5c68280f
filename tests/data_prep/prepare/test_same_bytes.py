"""The same input gives the same bytes, whoever makes the dataset and however often it is interrupted."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.inspect.verify import find_problems
from data_prep.storage.errors import DataError
from tests.data_prep.conftest import Prepare
from tests.data_prep.prepare.test_prepare import contents
from tests.data_prep.small_sources import prepare_plainly
from tests.processes import kill_when


def test_two_runs_give_the_same_bytes(tmp_path: Path, toy_dataset: Path, prepare_toy: Prepare) -> None:
    prepare_toy(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(toy_dataset)


def test_plain_loops_give_the_same_shards(tmp_path: Path, toy_original: Path, toy_dataset: Path) -> None:
    sources = (f"coco=coco:{toy_original}/coco", f"vg=vg:{toy_original}/visual_genome")
    prepare_plainly(tmp_path / "plain", *sources, shard_bytes=128 << 20)
    plain, beam = contents(tmp_path / "plain"), contents(toy_dataset)
    del plain["manifest.json"], beam["manifest.json"]  # it tells the options, which a plain loop has none of
    assert plain == beam


def test_two_processes_give_the_same_bytes(tmp_path: Path, toy_dataset: Path, prepare_toy: Prepare) -> None:
    prepare_toy(tmp_path / "again", workers=2)
    assert contents(tmp_path / "again") == contents(toy_dataset)


@pytest.mark.slow
def test_a_run_that_was_killed_is_completed_to_the_same_bytes(tmp_path: Path, toy_original: Path) -> None:
    sources = [f"--source=coco=coco:{toy_original}/coco", f"--source=vg=vg:{toy_original}/visual_genome"]
    options = ["--max-rejected=0.1", "--shard-bytes=20000"]
    command = [sys.executable, "-m", "pipelines.cli", "data", "prepare", *sources, *options]
    subprocess.run([*command, f"--out={tmp_path}/whole"], check=True, capture_output=True)
    shards = tmp_path / "killed/.prepare/shards"
    kill_when([*command, f"--out={tmp_path}/killed"], lambda: list(shards.glob("*/*.json")))
    assert not (tmp_path / "killed/manifest.json").exists()
    written = {path: path.stat().st_mtime_ns for path in shards.glob("*/*.json")}
    tars = {path: tmp_path / "killed" / path.parent.name / path.stem for path in written}
    before = {tar: tar.stat().st_mtime_ns for tar in tars.values()}
    subprocess.run([*command, f"--out={tmp_path}/killed"], check=True, capture_output=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert {tar: tar.stat().st_mtime_ns for tar in before} == before


def test_a_finished_dataset_is_kept_and_a_damaged_one_mended(tmp_path: Path, prepare_toy: Prepare) -> None:
    out = tmp_path / "dataset"
    manifest = prepare_toy(out)
    whole = contents(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.tar")}
    assert prepare_toy(out) == manifest
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.tar")} == times
    shard = out / manifest.shards[0].path
    damaged = bytearray(shard.read_bytes())
    damaged[700] ^= 1
    shard.write_bytes(damaged)
    assert [problem for problem in find_problems(str(out)) if manifest.shards[0].path in problem]
    assert prepare_toy(out) == manifest
    assert contents(out) == whole


def test_other_options_do_not_overwrite_a_dataset(toy_dataset: Path, prepare_toy: Prepare) -> None:
    before = contents(toy_dataset)
    with pytest.raises(DataError, match="made from other sources or options"):
        prepare_toy(toy_dataset, classes=3)
    assert contents(toy_dataset) == before


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path, prepare_toy: Prepare) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/own.tar").write_bytes(b"mine")
    with pytest.raises(DataError, match="holds other files"):
        prepare_toy(tmp_path)
    assert contents(tmp_path) == {"mine/own.tar": b"mine"}
