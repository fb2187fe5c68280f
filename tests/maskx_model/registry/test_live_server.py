"""A real MLflow server that is killed and started again in the middle of a training that is killed, too."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.mlflow_server import MlflowServer
from maskx_model.registry.mlflow_run import client_of
from maskx_model.registry.run_contents import read_curves
from tests.maskx_model.killing import newest_step
from tests.maskx_model.registry.followed_loop import CHECKPOINT_EVERY
from tests.maskx_model.registry.live import curve, runs_of
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.processes import REPOSITORY, wait_for

STEPS = 600
SERVER_DIES, TRAINING_DIES, SERVER_IS_BACK = PAUSES = 150, 330, STEPS - 1
"""After these steps the training waits until the server has died, until the training has, until the server answers."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    (tmp_path / "server").mkdir()
    own = MlflowServer(tmp_path / "server")
    own.start()
    yield own
    own.kill()


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command's process, which is killed at the end of the block."""
    process = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_every_point_is_there_once_when_the_server_and_the_training_were_killed(
    server: MlflowServer, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "data", random_world(0, 4, ["cup", "chair"])[0], ["cup", "chair"])
    out = tmp_path / "run" / "detector"
    command = [sys.executable, "-m", "tests.maskx_model.registry.followed_loop", str(tmp_path), str(out)]
    command += [server.uri, *map(str, (STEPS, *PAUSES))]
    client = client_of(server.uri)

    def made() -> int:
        return newest_step(out / "checkpoint")

    def sent() -> int:
        if client.get_experiment_by_name("maskx") is None:
            return 0
        runs = runs_of(client)
        return len(curve(client, runs["detector"], "loss")) if "detector" in runs else 0

    with started(command) as first:
        wait_for("more points than a checkpoint's", lambda: sent() > CHECKPOINT_EVERY, first)
        server.kill()
        (tmp_path / str(SERVER_DIES)).touch()
        wait_for("checkpoints without a server", lambda: made() > TRAINING_DIES - CHECKPOINT_EVERY, first)
    (tmp_path / str(TRAINING_DIES)).touch()
    with started(command) as second:
        wait_for("all checkpoints but the last", lambda: made() == STEPS - CHECKPOINT_EVERY, second)
        server.start()
        (tmp_path / str(SERVER_IS_BACK)).touch()
        assert second.wait(timeout=120) == 0
    runs = runs_of(client)
    assert set(runs) == {"run", "detector"}
    for each in read_curves(str(out)):
        assert [step for step, _ in each.points] == list(range(1, STEPS + 1))
        assert curve(client, runs["detector"], each.name.removeprefix("detector/")) == list(each.points)
    names = [name for name in runs["detector"].data.metrics if name.startswith("system/")]
    assert names
    assert all(len(curve(client, runs["detector"], name)) == STEPS for name in names)
    assert runs["detector"].info.status == "FINISHED"
