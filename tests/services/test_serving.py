"""`mlflow models serve` of a registered version, in an environment that its own requirements make: over HTTP it answers
as in this process."""

import json
import os
import subprocess
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import mlflow
import pandas as pd
import pytest

from benchmarks.mlflow_server import QUIET
from maskx_model.registry.mlflow_run import connected
from maskx_model.registry.registry import register
from maskx_model.report.evaluate import evaluate
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.processes import kill_group, wait_for_server
from tests.services.fresh_environment import fresh_environment
from tests.services.object_storage import free_ports

NAMES = ["cup", "chair"]


@pytest.mark.services
def test_a_served_version_answers_as_in_process(tmp_path: Path) -> None:
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    data = write_dataset(tmp_path / "data", random_world(0, 2, NAMES)[0], NAMES)
    model = write_model(tmp_path / "model", NAMES, "transfer")
    evaluate(model, data, f"{tmp_path}/evaluation")
    uri = register(model, f"{tmp_path}/evaluation", tracking_uri=tracking)
    with connected(tracking):
        files = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "fetched")))
        loaded = mlflow.pyfunc.load_model(uri)
    programs = fresh_environment(tmp_path / "fresh", (files / "requirements.txt").read_text().splitlines())
    with_maskx = [f"{programs}/python", "-I", "-c", "import maskx_model"]
    assert subprocess.run(with_maskx, capture_output=True, check=False).returncode == 1
    rows = loaded.input_example
    (port,) = free_ports(1)
    environment = {**os.environ, **QUIET, "MLFLOW_TRACKING_URI": tracking, "PATH": f"{programs}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    command = [f"{programs}/mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for_server(server, f"http://127.0.0.1:{port}/ping", tmp_path / "log")
        answer = ask(port, {"dataframe_records": json.loads(pd.DataFrame(rows).to_json(orient="records"))})
        assert answer["predictions"] == loaded.predict(rows)
        with pytest.raises(HTTPError) as refused:
            ask(port, {"dataframe_records": [{"image": "no image"}]})
        assert refused.value.code == 400
        assert "row 0 of `image`" in refused.value.read().decode()
    finally:
        kill_group(server)  # mlflow and the server that it started


def ask(port: int, body: object) -> dict[str, object]:
    """The answer to a request for predictions."""
    headers = {"Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), headers)
    with urlopen(request, timeout=120) as response:
        answer: dict[str, object] = json.load(response)
    return answer
