"""The image that serves a registered model is built, and started: over HTTP it answers as in this process.

It holds torch: building and looking through it takes some ten minutes and 20 GB, so a command of its own runs this.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from maskx_model.registry.mlflow_run import connected
from maskx_model.registry.registry import register
from maskx_model.report.evaluate import evaluate
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.processes import wait_for_server
from tests.services.images import (
    NEEDS_BUILDAH,
    build,
    buildah,
    check_layers,
    command_of,
    container,
    listed_versions,
    pins,
    started,
)
from tests.services.mlflow_server import mlflow_server
from tests.services.object_storage import free_ports
from tests.services.test_serving import ask

NAMES = ["cup", "chair"]

pytestmark = [pytest.mark.images, pytest.mark.timeout(3600), NEEDS_BUILDAH]


@pytest.fixture(scope="module")
def image() -> str:
    return build(["serve"])["serve"]


@pytest.fixture
def serve(image: str) -> Iterator[str]:
    """A container of the image."""
    with container(image) as name:
        yield name


def test_the_container_answers_as_this_process(image: str, serve: str, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", random_world(0, 2, NAMES)[0], NAMES)
    model = write_model(tmp_path / "model", NAMES, "transfer")
    evaluate(model, data, f"{tmp_path}/evaluation")
    assert buildah("run", serve, "--", "id", "-u").strip() == "1000"
    (port,) = free_ports(1)
    command = [word.replace("8080", str(port)) for word in command_of(image)]
    with mlflow_server(tmp_path) as tracking:
        uri = register(model, f"{tmp_path}/evaluation", tracking_uri=tracking)
        with connected(tracking):
            loaded = mlflow.pyfunc.load_model(uri)
        rows = loaded.input_example
        settings = [f"--env=MODEL_URI={uri}", f"--env=MLFLOW_TRACKING_URI={tracking}"]
        with started(serve, command, *settings, log=tmp_path / "log") as server:
            wait_for_server(server, f"http://127.0.0.1:{port}/ping", tmp_path / "log")
            answer = ask(port, {"dataframe_records": json.loads(pd.DataFrame(rows).to_json(orient="records"))})
    assert answer["predictions"] == loaded.predict(rows)


def test_no_layer_holds_a_secret_a_cache_or_the_hosts_settings(image: str, tmp_path: Path) -> None:
    check_layers(image, tmp_path)


def test_what_is_in_it_is_listed_with_versions(image: str) -> None:
    assert {name: listed_versions(image)[name] for name in ("torch", "mlflow")} == {
        name: pins()[name] for name in ("torch", "mlflow")
    }
