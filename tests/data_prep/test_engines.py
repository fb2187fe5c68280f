"""The engine is a choice: what is refused, with which words, and what becomes of a job whose worker is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_prep.engines import Engine, job_name
from data_prep.format.errors import ConfigError, DataError
from data_prep.pipeline import PrepareOptions, prepare
from tests.data_prep.conftest import Prepare
from tests.data_prep.small_sources import coco_image, coco_object, write_coco
from tests.data_prep.test_prepare import contents
from tests.processes import running, wait_for_writer


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Any]:
    """Options that make a dataset of two photographs."""
    write_coco(tmp_path / "coco", [coco_image(1), coco_image(2)], [coco_object(1, 1)])
    return {"sources": (f"coco=coco:{tmp_path}/coco",), "out": f"{tmp_path}/out"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"runner": "apache_beam.runners.dask.dask_runner.DaskRunner"}, "DaskRunner: is not offered: it mixes up"),
        ({"runner": "DirectRunner"}, "leave --runner out"),
        ({"runner": "FlinkRunner", "workers": 2}, "--workers is for this machine alone"),
        ({"beam": ("no equals sign",)}, "write KEY=VALUE"),
        ({"beam": ("runner=FlinkRunner",)}, "give it as --runner"),
        ({"workers": 0}, "at least 1"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Engine(**options)


@pytest.mark.parametrize("option", [{"out": "out"}, {"sources": ("coco=coco:/there,here",)}])
def test_workers_elsewhere_need_whole_paths(option: dict[str, Any]) -> None:
    places: dict[str, Any] = {
        "sources": ("coco=coco:/there", "own=coco:s3://bucket/a.json,/images"),
        "out": "s3://bucket/out",
    }
    PrepareOptions(**places, runner="FlinkRunner")
    with pytest.raises(ConfigError, match="as a whole path"):
        PrepareOptions(**{**places, **option}, runner="FlinkRunner")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beam": ("paralelism=2",)}, "--beam paralelism: neither Beam nor the runner has"),
        ({"beam": ("flink_version=0.1",)}, "--flink_version: invalid choice: '0.1'"),
        ({"runner": "Nobody"}, "--runner Nobody: Unexpected pipeline runner"),
        ({"runner": "DataflowRunner", "beam": ("project=mine",)}, "--runner DataflowRunner: .*temp_location"),
    ],
)
def test_what_beam_does_not_know_is_refused(small: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        prepare(PrepareOptions(**small, **options))
    assert not (Path(small["out"]) / "manifest.json").exists()


def test_beams_options_reach_beam_and_change_no_byte(tmp_path: Path, toy_dataset: Path, prepare_toy: Prepare) -> None:
    profiles = tmp_path / "profiles"
    options = ("profile_cpu", f"profile_location={profiles}", "profile_sample_rate=1.0", "job_name=mine")
    prepare_toy(tmp_path / "again", beam=options)
    assert list(profiles.iterdir())
    assert contents(tmp_path / "again") == contents(toy_dataset)


def test_a_job_that_fails_says_why_and_how_to_go_on(small: dict[str, Any]) -> None:
    """The folder that a shard goes into is a file."""
    Path(small["out"]).mkdir()
    (Path(small["out"]) / ".prepare").mkdir()
    (Path(small["out"]) / "train").write_text("in the way")
    with pytest.raises(DataError, match=r"the job failed: .*out/train.* given again, the command goes on"):
        prepare(PrepareOptions(**small))


@pytest.mark.parametrize(
    ("out", "name"),
    [
        ("/data/COCO_and VG/", "maskx-prepare-coco-and-vg"),
        ("s3://bucket/vg3000", "maskx-prepare-vg3000"),
        ("-", "maskx-prepare"),
    ],
)
def test_a_jobs_name_tells_its_dataset(out: str, name: str) -> None:
    assert job_name(out) == name


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_worker_process_killed_in_the_middle_ends_the_job_and_a_second_run_completes_it(
    tmp_path: Path, toy_original: Path
) -> None:
    sources = [f"--source=coco=coco:{toy_original}/coco", f"--source=vg=vg:{toy_original}/visual_genome"]
    command = [sys.executable, "-m", "pipelines.cli", "data", "prepare", *sources, "--max-rejected=0.1"]
    command += ["--shard-bytes=1500", "--workers=2"]
    subprocess.run([*command, f"--out={tmp_path}/whole"], check=True, capture_output=True, timeout=150)
    with running([*command, f"--out={tmp_path}/killed"]) as process:
        os.kill(wait_for_writer(process.pid, "beam_worker", tmp_path / "killed/train"), signal.SIGKILL)
        _, said = process.communicate(timeout=150)
    assert process.returncode == 1
    assert "maskx: the job failed: " in said
    assert "given again, the command goes on" in said
    assert not (tmp_path / "killed/manifest.json").exists()
    subprocess.run([*command, f"--out={tmp_path}/killed"], check=True, capture_output=True, timeout=150)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
