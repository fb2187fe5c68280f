"""A training step whose pod has two accelerators: two ranks, started for real, here on the CPU."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, MaskxError
from maskx_model.registry.mlflow_run import connected
from maskx_model.training.termination import EXIT_CODE
from tests.components.small_training import arguments, run
from tests.maskx_model.killing import newest_step
from tests.maskx_model.launch.small_cluster import SmallCluster, small_cluster
from tests.processes import REPOSITORY, wait_for


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


def losses(out: str) -> list[float]:
    return [msgspec.json.decode(line)["loss"] for line in Path(out, "metrics.jsonl").read_bytes().splitlines()]


@pytest.mark.slow  # three trainings, and MLflow
def test_they_learn_what_one_process_does_and_the_first_is_followed(
    toy_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    one = run(arguments(tmp_path, toy_dataset.uri, "one", 3))
    asked = arguments(tmp_path, toy_dataset.uri, "two", 3, node_accelerators="2", tracking_uri=uri)
    two = run(asked)
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)
    with connected(uri) as client:
        (experiment,) = client.search_experiments(filter_string="name = 'maskx'")
        followed = [each for each in client.search_runs([experiment.experiment_id]) if "loss" in each.data.metrics]
    assert [(each.info.status, each.data.metrics["loss"]) for each in followed] == [("FINISHED", losses(two)[-1])]
    assert run(asked) == two  # finished: no rank is started
    with small_cluster(SmallCluster(), tmp_path) as (server, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert run(asked | {"nodes": "2"}) == two  # nor a TrainJob
        assert "POST" not in {each.method for each in server.asked}
    with pytest.raises(CheckpointError, match="holds a model of"):
        run(arguments(tmp_path, toy_dataset.uri, "two", 4, node_accelerators="2"))


@pytest.mark.slow  # two trainings of two ranks, and MLflow
def test_the_first_rank_looks_at_validation_images_and_changes_nothing(toy_dataset: Dataset, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    plain = run(arguments(tmp_path, toy_dataset.uri, "plain", 4, node_accelerators="2"))
    watched = arguments(
        tmp_path, toy_dataset.uri, "watched", 4, validate_every=2, node_accelerators="2", tracking_uri=uri
    )
    assert losses(run(watched)) == losses(plain)
    with connected(uri) as client:
        (experiment,) = client.search_experiments(filter_string="name = 'maskx'")
        runs = client.search_runs([experiment.experiment_id])
        looks = [client.get_metric_history(each.info.run_id, "val/box_ap_a") for each in runs]
    assert [[look.step for look in each] for each in looks if each] == [[2, 4]]


def test_a_step_fails_with_the_error_of_its_rank(toy_dataset: Dataset, tmp_path: Path) -> None:
    asked = arguments(tmp_path, toy_dataset.uri, "out", 3, batch=3, node_accelerators="2")
    with pytest.raises(MaskxError, match=r"^rank \d: ConfigError: 3 in a batch cannot be shared evenly by 2 ranks"):
        run(asked)


@pytest.mark.slow
def test_sigterm_reaches_the_ranks_and_no_step_is_lost(toy_dataset: Dataset, tmp_path: Path) -> None:
    asked = arguments(tmp_path, toy_dataset.uri, "out", 400, node_accelerators="2")
    command = [sys.executable, "-m", "tests.components.small_training", json.dumps(asked)]
    step = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    checkpoints = tmp_path / "out" / "checkpoint"
    wait_for("a checkpoint", lambda: newest_step(checkpoints) >= 2, step)
    step.send_signal(signal.SIGTERM)
    _, errors = step.communicate(timeout=120)
    assert step.returncode == EXIT_CODE, errors[-3000:]
    assert f"SIGTERM; step {newest_step(checkpoints)} is saved" in errors
