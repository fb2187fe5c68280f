"""Engines: what is refused and with which words; a job whose worker is killed ends."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from data_prep.beam.engine import Engine
from data_prep.beam.runners import job_name
from data_prep.beam.watchdog import run_with_workers
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import ConfigError, MaskxError
from tests.data_prep.conftest import Prepare
from tests.data_prep.prepare.test_prepare import contents
from tests.data_prep.small_sources import coco_image, coco_object, write_coco
from tests.processes import descendants, running, wait_for_the_end, wait_for_writer

WORKER = "apache_beam.runners.worker.sdk_worker_main"


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Any]:
    """Options that make a dataset of two images."""
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
        ({"beam": ("direct_num_workers=2",)}, "give it as --workers"),
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
        ({"beam": ("paralelism=2",), "workers": 2}, "--beam paralelism: neither Beam nor the runner has"),
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


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        (1, r"out/train/.*: cannot be written, a part of the path is a file; choose another path"),
        (2, r"the job failed: .*out/train/.* a part of the path is a file.* run the command again"),
    ],
)
def test_a_job_that_fails_says_why_and_how_to_go_on(small: dict[str, Any], workers: int, told: str) -> None:
    """The folder that a shard goes into is a file."""
    Path(small["out"]).mkdir()
    (Path(small["out"]) / ".prepare").mkdir()
    (Path(small["out"]) / "train").write_text("in the way")
    with pytest.raises(MaskxError, match=told):
        prepare(PrepareOptions(**small, workers=workers))


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


@pytest.fixture
def slow_command(tmp_path: Path, toy_original: Path) -> list[str]:
    """Makes a dataset of many small shards in two worker processes; `--out` is to be added."""
    sources = [f"--source=coco=coco:{toy_original}/coco", f"--source=vg=vg:{toy_original}/visual_genome"]
    command = [sys.executable, "-m", "pipelines.cli", "data", "prepare", *sources, "--max-rejected=0.1"]
    return [*command, "--shard-bytes=1500", "--workers=2"]


def test_threads_that_fail_are_told_as_before_but_for_beams_own(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def tell(error: threading.ExceptHookArgs) -> None:
        told.append(error.exc_type)

    def fail(error: type[Exception]) -> None:
        raise error

    def run() -> None:
        for error in (grpc.RpcError, ValueError):
            thread = threading.Thread(target=fail, args=(error,))
            thread.start()
            thread.join()

    monkeypatch.setattr(threading, "excepthook", tell)
    run_with_workers(run)
    assert told == [ValueError]
    assert threading.excepthook is tell


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_worker_killed_in_the_middle_ends_the_job_and_a_second_run_completes_it(
    tmp_path: Path, slow_command: list[str]
) -> None:
    subprocess.run([*slow_command, f"--out={tmp_path}/whole"], check=True, capture_output=True, timeout=150)
    with running([*slow_command, f"--out={tmp_path}/killed"]) as process:
        worker = wait_for_writer(process.pid, WORKER, tmp_path / "killed/train")
        all_of_them = descendants(process.pid, WORKER)
        os.kill(worker, signal.SIGKILL)
        _, messages = process.communicate(timeout=150)
    assert process.returncode == 1
    assert "maskx: the job failed: a worker process was killed by signal 9" in messages
    assert "run the command again" in messages
    assert "Traceback" not in messages
    assert not (tmp_path / "killed/manifest.json").exists()
    wait_for_the_end(all_of_them)
    subprocess.run([*slow_command, f"--out={tmp_path}/killed"], check=True, capture_output=True, timeout=150)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_command_that_ends_leaves_no_process_behind(
    tmp_path: Path, slow_command: list[str], how: signal.Signals
) -> None:
    with running([*slow_command, f"--out={tmp_path}/out"]) as process:
        wait_for_writer(process.pid, WORKER, tmp_path / "out/train")
        left = descendants(process.pid, WORKER)
        process.send_signal(how)
        _, messages = process.communicate(timeout=60)
    assert len(left) == 2
    assert "Traceback" not in messages
    wait_for_the_end(left)
