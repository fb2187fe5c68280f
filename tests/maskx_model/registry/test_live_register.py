"""Registering a model whose trainings were followed: one tree of runs, every curve once."""

from pathlib import Path
from typing import Any

import pytest

from maskx_model.registry.live_training import followed
from maskx_model.registry.mlflow_run import client_of
from maskx_model.registry.registry import register
from maskx_model.report.evaluate import evaluate
from tests.maskx_model.registry.live import NOWHERE, curve, database_in, runs_of, training
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

NAMES = ["cup", "chair"]
STEPS = range(1, 20)
"""Of the curve in a model's folder (`write_model`)."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset `data`, a model, its evaluation, and MLflow's database."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 4, NAMES)[0], NAMES)
    write_model(folder / "model", NAMES, "transfer")
    evaluate(f"{folder}/model", f"{folder}/data", f"{folder}/evaluation")
    database_in(folder)
    return folder


@pytest.fixture
def client(world: Path) -> Any:
    return client_of(f"sqlite:///{world}/mlflow.db")


def follow(world: Path, out: Path, tracking_uri: str, steps: range, experiment: str) -> None:
    """A training of the detector whose first steps are followed; its finished folder has all of them."""
    with followed(training(world, out), tracking_uri, experiment) as observers:
        assert observers.sink is not None
        for step in steps:
            observers.sink.write(step, {"loss": 1 / step})
    write_model(out, NAMES, None)


def register_in(world: Path, folder: Path, name: str) -> str:
    """The model, copied beside that detector."""
    for file in (world / "model").iterdir():
        target = folder / "masks" / file.name
        target.parent.mkdir(exist_ok=True, parents=True)
        target.write_bytes(file.read_bytes())
    uri = f"sqlite:///{world}/mlflow.db"
    return register(f"{folder}/masks", f"{world}/evaluation", name, uri, stages=(f"{folder}/detector",))


def test_a_followed_stage_is_linked_and_its_curve_is_not_logged_again(world: Path, client: Any, tmp_path: Path) -> None:
    follow(world, tmp_path / "detector", f"sqlite:///{world}/mlflow.db", STEPS, "of the trainings")
    version = register_in(world, tmp_path, "linked")
    runs = runs_of(client, "of the trainings")
    registered, detector = runs[f"{tmp_path.name}/masks"], runs["detector"]
    assert client.get_model_version("linked", version.rpartition("/")[2]).run_id == registered.info.run_id
    assert registered.data.tags["mlflow.parentRunId"] == runs[tmp_path.name].info.run_id
    assert registered.data.tags["training.detector"] == detector.info.run_id
    assert not [name for name in registered.data.metrics if name.startswith("detector/")]
    assert registered.data.metrics["masks/loss"]  # stage 2 was not followed
    assert curve(client, detector, "loss") == [(step, 1 / step) for step in STEPS]
    assert client.get_experiment_by_name("linked") is None


@pytest.mark.parametrize("lost", [False, True])
def test_what_the_server_lacks_is_sent_from_the_spool_or_else_from_the_folders_curves(
    world: Path, client: Any, tmp_path: Path, lost: bool
) -> None:
    uri = f"sqlite:///{world}/mlflow.db"
    follow(world, tmp_path / "detector", uri, range(1, 5), f"rest {lost}")
    spool = tmp_path / "detector" / "tracking" / "run.json"
    (tmp_path / "detector" / "manifest.json").unlink()
    description = spool.read_bytes()
    follow(world, tmp_path / "detector", NOWHERE, range(3, 12), f"rest {lost}")
    spool.write_bytes(description)
    if lost:
        (spool.parent / "events.jsonl").unlink()
    register_in(world, tmp_path, f"lost-{lost}")
    detector = runs_of(client, f"rest {lost}")["detector"]
    assert [step for step, _ in curve(client, detector, "loss")] == list(STEPS)


def test_a_stage_that_was_followed_elsewhere_has_its_curve_in_the_models_run(
    world: Path, client: Any, tmp_path: Path
) -> None:
    follow(world, tmp_path / "detector", NOWHERE, range(1, 5), "elsewhere")
    register_in(world, tmp_path, "elsewhere")
    (run,) = runs_of(client, "elsewhere").values()
    assert [step for step, _ in curve(client, run, "detector/loss")] == list(STEPS)
    assert "mlflow.parentRunId" not in run.data.tags
