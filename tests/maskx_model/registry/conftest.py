"""A small world of two models and their evaluations, and a store to register them in; what the environment says of
MLflow is not the user's."""

from pathlib import Path

import pytest

from maskx_model.report.evaluate import evaluate
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

NAMES = ["cup", "chair"]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset `data`, models `detector`, `one` and `two`, and evaluations `evaluation-one` and `-two`, each beside
    the class-agnostic model `baseline-one` and `-two`."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 4, NAMES)[0], NAMES)
    write_model(folder / "detector", NAMES, None)
    for seed, name in enumerate(("one", "two")):
        write_model(folder / name, NAMES, "transfer", seed=seed)
        write_model(folder / f"baseline-{name}", NAMES, "class_agnostic", seed=seed)
        evaluate(f"{folder}/{name}", f"{folder}/data", f"{folder}/evaluation-{name}", f"{folder}/baseline-{name}")
    return folder


@pytest.fixture(scope="session")
def uri(world: Path) -> str:
    return f"sqlite:///{world}/tracking/mlflow.db"
