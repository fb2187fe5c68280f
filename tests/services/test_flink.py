"""Prepare and annotate on a Flink cluster of two task managers, with Python workers in processes of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maskx_model.annotate.planning import PART
from maskx_model.batch_prediction.plan import PART as PREDICTED_AT_ONCE
from tests.data_prep.conftest import prepare_toy, toy_original  # noqa: F401  fixtures
from tests.data_prep.prepare.test_prepare import contents
from tests.maskx_model.batch_prediction.small_images import NAMES, write_images
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.processes import running, wait_for_writer
from tests.services.flink_cluster import REPOSITORY, FlinkCluster, flink_cluster

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

SECONDS_FOR_A_JOB = 150


@pytest.fixture(scope="module")
def flink() -> Iterator[FlinkCluster]:
    """A running cluster."""
    with flink_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def command(toy_original: Path) -> list[str]:  # noqa: F811
    """`maskx data prepare` of the toy world into many shards, without an engine and without a place."""
    sources = [f"--source=coco=coco:{toy_original}/coco", f"--source=vg=vg:{toy_original}/visual_genome"]
    options = ["--max-rejected=0.1", "--shard-bytes=1500"]
    return [sys.executable, "-m", "pipelines.cli", "data", "prepare", *sources, *options]


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory, command: list[str]) -> dict[str, bytes]:
    """The files that this machine alone makes."""
    out = tmp_path_factory.mktemp("in_process") / "dataset"
    subprocess.run([*command, f"--out={out}"], check=True, capture_output=True, timeout=SECONDS_FOR_A_JOB)
    return contents(out)


def test_flink_gives_the_same_bytes_and_both_task_managers_work(
    tmp_path: Path, flink: FlinkCluster, command: list[str], in_process: dict[str, bytes]
) -> None:
    out = tmp_path / "on_flink"
    subprocess.run([*command, f"--out={out}", *flink.options], check=True, timeout=SECONDS_FOR_A_JOB)
    assert contents(out) == in_process
    for step in ("Locate", "Write a training shard"):
        read = flink.task_managers_of("maskx-prepare-on-flink", step)
        assert set(read) == {"task-manager-1", "task-manager-2"}
        assert all(read.values()), f"{step}: {read}"


def test_a_worker_killed_in_the_middle_is_replaced(
    tmp_path: Path, flink: FlinkCluster, command: list[str], in_process: dict[str, bytes]
) -> None:
    with running([*command, f"--out={tmp_path}/killed", *flink.options]) as process:
        os.kill(wait_for_writer(flink.process, "infra/flink/worker.py", tmp_path / "killed/train"), signal.SIGKILL)
        _, said = process.communicate(timeout=SECONDS_FOR_A_JOB)
    assert process.returncode == 0, said
    assert flink.job("maskx-prepare-killed")["timestamps"]["RESTARTING"] > 0
    assert contents(tmp_path / "killed") == in_process


def test_annotating_on_flink_gives_the_same_file(tmp_path: Path, flink: FlinkCluster) -> None:
    """Two parts, done by workers that read the model from its folder."""
    model = write_model(tmp_path / "model", NAMES, "transfer")
    write_dataset(tmp_path / "data", random_world(0, PART + 40, NAMES)[0], NAMES)
    options = [f"--dataset={tmp_path}/data", "--split=val", "--source-name=coco", "--replace=all"]
    command = [sys.executable, "-m", "pipelines.cli", "annotate", model, *options]
    for out, engine in (("here", []), ("on_flink", flink.options)):
        subprocess.run([*command, f"--out={tmp_path}/{out}", *engine], check=True, timeout=2 * SECONDS_FOR_A_JOB)
    assert (tmp_path / "on_flink/coco-val.json").read_bytes() == (tmp_path / "here/coco-val.json").read_bytes()
    assert sum(flink.task_managers_of("maskx-annotate-on-flink", "Do a part").values()) == 2


def test_predicting_on_flink_gives_the_same_files(tmp_path: Path, flink: FlinkCluster) -> None:
    """Each of two parts goes through the model in one of the workers."""
    model = write_model(tmp_path / "model", NAMES, "transfer")
    photos = write_images(tmp_path / "photos", PREDICTED_AT_ONCE + 5)
    command = [sys.executable, "-m", "pipelines.cli", "predict-batch", model, photos]
    for out, engine in (("here", []), ("on_flink", flink.options)):
        subprocess.run([*command, f"--out={tmp_path}/{out}", *engine], check=True, timeout=2 * SECONDS_FOR_A_JOB)
    assert contents(tmp_path / "on_flink") == contents(tmp_path / "here")
    assert sum(flink.task_managers_of("maskx-predict-batch-on-flink", "Write a part").values()) == 2


def test_the_document_names_the_options_that_work(flink: FlinkCluster) -> None:
    document = (REPOSITORY / "infra/flink/README.md").read_text()
    for option in flink.options[3::2]:
        assert f"--beam {option.partition('=')[0]}=" in document
