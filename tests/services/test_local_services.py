"""`make services`, and the whole pipeline against it: root in the store, runs and models at the server."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import mlflow
import pytest

from benchmarks.local_services import SCRIPT, state_folder
from data_prep.storage.storage import list_files, read
from maskx_model.registry.mlflow_run import client_of
from pipelines.compiling import compiled
from pipelines.pipeline_names import PipelineName
from tests.data_prep.small_sources import jpeg
from tests.services.local_services import LocalServices, local_services
from tests.services.object_storage import free_ports
from tests.services.pipeline_runs import WHOLE, PipelineRun, Ran

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

NAME = WHOLE
FINISHED = "finished already"


@pytest.fixture
def client(services: LocalServices) -> Any:
    return client_of(services.tracking_uri)


def test_everything_that_a_run_makes_is_in_the_store(ran: Ran, services: LocalServices) -> None:
    made = set(list_files(ran.run.root))
    folders = ("dataset", "detector", "masks-transfer", "masks-class-agnostic")
    assert {f"{folder}/manifest.json" for folder in folders} < made
    assert {"config.yaml", "original/README.md", "evaluation/metrics.json", "evaluation/report.html"} < made
    assert not [path for path in made if "/tracking/" in path or "/.prepare/" in path]
    assert {path.name for path in ran.run.out.iterdir()} == {
        "config.yaml",
        "costs.json",
        "kfp",
        "pipeline.log",
        "summary.json",
    }
    assert {path.name for path in ran.run.folder.iterdir()} == {"out", "temporary", "scratch", "home", "terminal.txt"}


def test_the_registered_version_is_in_the_store_and_loads(ran: Ran, services: LocalServices, client: Any) -> None:
    version = client.get_model_version(NAME, "1")
    model_id = version.source.rpartition("/")[2]
    files = [path for path in list_files("s3://maskx/mlflow") if f"/{model_id}/" in path]
    assert any(path.endswith("artifacts/model/model.safetensors") for path in files)
    mlflow.set_tracking_uri(services.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}/1")
    assert set(model.predict([{"image": jpeg()}])[0]) == {"boxes", "labels", "scores", "masks"}


def test_runs_stand_below_the_pipelines_and_are_finished(ran: Ran, client: Any) -> None:
    runs = client.search_runs([client.get_experiment_by_name(NAME).experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    below = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert parent.info.run_name == NAME
    trainings = ["detector", "masks-class-agnostic", "masks-transfer"]
    assert sorted(run.info.run_name for run in below) == [*trainings, *2 * [f"{NAME}/masks-transfer"]]
    assert {run.info.status for run in runs} == {"FINISHED"}
    registered = client.get_run(client.get_model_version(NAME, "1").run_id)
    assert {file.path for file in client.list_artifacts(registered.info.run_id)} > {"evaluation", "lineage.json"}


def test_the_same_again_does_nothing(ran: Ran) -> None:
    for step in ("prepare", "train-detector", "masks-transfer", "masks-class-agnostic", "estimate", "evaluate"):
        assert not any(FINISHED in line for line in ran.first[step]), step
        assert any(FINISHED in line for line in ran.again[step]), step
    assert f"registered models:/{NAME}/1" in " ".join(ran.again["finish"])


def test_another_option_of_the_evaluation_repeats_evaluation_and_registration_alone(ran: Ran, client: Any) -> None:
    repeated = {step for step, lines in ran.measured_otherwise.items() if not any(FINISHED in line for line in lines)}
    assert repeated == {"preflight", "evaluate", "register", "finish"}
    first, second = (client.get_model_version(NAME, number) for number in "12")
    assert first.tags["model_sha256"] == second.tags["model_sha256"]
    parameters = client.get_run(second.run_id).data.params
    assert parameters["evaluation.max_images"] == "6"


def written(services: LocalServices, run: PipelineRun) -> Iterator[tuple[str, bytes]]:
    """All that a run and the services write: name and content."""
    for path in (path for path in run.folder.rglob("*") if path.is_file()):
        yield str(path), path.read_bytes()
    for path in services.state.glob("*.log"):
        yield str(path), path.read_bytes()
    for name in list_files("s3://maskx"):
        yield name, read(f"s3://maskx/{name}")
    yield "the database", services.dump().encode()
    for pipeline in get_args(PipelineName):
        yield pipeline, compiled(pipeline=pipeline).encode()


def test_a_secret_is_written_nowhere(ran: Ran, services: LocalServices) -> None:
    found = dict(written(services, ran.run))
    assert b"runs/whole" in found["the database"]
    assert b"KFP Executor" in found[str(ran.run.out / "pipeline.log")]
    for secret in services.secrets:
        assert [name for name, content in found.items() if secret.encode() in content] == []


def test_what_the_services_hold_survives_them() -> None:
    with state_folder() as state:
        for start in range(2):
            with local_services(state) as services:
                database = client_of(services.tracking_uri)
                if start == 0:
                    database.create_experiment("kept")
                assert database.get_experiment_by_name("kept") is not None
            assert services.process.returncode == 0
            with closing(socket.socket()) as probe:
                assert probe.connect_ex(("127.0.0.1", int(services.tracking_uri.rpartition(":")[2]))) != 0


def test_a_port_that_is_taken_is_named_with_the_option(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        command = [sys.executable, str(SCRIPT), f"--state={tmp_path}/state", f"--mlflow-port={port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"port {port} is taken; choose another with --mlflow-port" in done.stderr
    assert not (tmp_path / "state").exists()
