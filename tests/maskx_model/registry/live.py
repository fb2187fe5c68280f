"""A small training to follow, and what MLflow holds of it."""

from collections import Counter
from pathlib import Path
from typing import Any

from maskx_model.registry.live_run import LiveRun
from maskx_model.registry.live_spool import LiveDescription
from maskx_model.registry.live_training import FollowedTraining
from maskx_model.registry.mlflow_run import client_of
from maskx_model.registry.run_contents import DatasetReference
from maskx_model.training.metric_sink import MetricSink, Observers
from tests.maskx_model.tiny_presets import tiny

NOWHERE = "http://127.0.0.1:9"
"""The port of the discard service, where nothing listens."""


def description(folder: Path, tracking_uri: str = NOWHERE) -> LiveDescription:
    dataset = DatasetReference(f"{folder}/data", "0" * 64, ("training",), "{}")
    return LiveDescription(
        "0" * 32, f"{folder}/run/detector", f"{folder}/run", tracking_uri, "maskx", None, {}, dataset
    )


def training(world: Path, out: Path, steps: int = 4) -> FollowedTraining:
    """Stage 1 on the dataset `data` of that world."""
    return FollowedTraining("stage1", f"{world}/data", str(out), tiny(steps))


def database_in(folder: Path) -> str:
    """The URI of an empty MLflow database. To make one takes longer than the end of a training waits for a server."""
    uri = f"sqlite:///{folder}/mlflow.db"
    client_of(uri).search_experiments()
    return uri


def runs_of(client: Any, experiment: str = "maskx") -> dict[str, Any]:
    """The experiment's runs by their names; fails if two have one name."""
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    names = Counter(run.info.run_name for run in runs)
    assert set(names.values()) <= {1}, names
    return {run.info.run_name: run for run in runs}


def curve(client: Any, run: Any, name: str) -> list[tuple[int, float]]:
    """Every point that the server has, in the order of the steps."""
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))


def sink_of(observers: Observers) -> LiveRun:
    """The sink that leads to MLflow."""
    assert isinstance(observers.sink, LiveRun)
    return observers.sink


def write(sink: MetricSink | None, steps: range, shift: float = 0.0) -> None:
    """Numbers of those steps, which differ by the step."""
    assert sink is not None
    for step in steps:
        sink.write(step, {"loss": 1 / step + shift, "learning_rate": 0.1})
