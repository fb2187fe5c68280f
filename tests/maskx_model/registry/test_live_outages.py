"""A training whose server is down, silent, or comes back: the training waits for nothing, and nothing is lost."""

import logging
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from maskx_model.registry.credentials import to_environment
from maskx_model.registry.live_folder import left_spool
from maskx_model.registry.live_training import followed
from maskx_model.registry.mlflow_run import TrackingError, client_of, connected, set_quiet
from maskx_model.registry.pages import tell_pages
from maskx_model.training.metric_sink import NOBODY
from tests.maskx_model.registry.live import NOWHERE, curve, database_in, runs_of, sink_of, training, write
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.processes import wait_for
from tests.recording_server import recording_server

NAMES = ["cup", "chair"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset `data`."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 4, NAMES)[0], NAMES)
    return folder


@pytest.fixture(scope="module")
def uri(world: Path) -> str:
    return database_in(world)


@pytest.fixture
def client(uri: str) -> Any:
    return client_of(uri)


def test_what_a_server_that_is_not_there_did_not_take_is_sent_to_the_next_one(
    world: Path, uri: str, client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "down" / "detector"
    with followed(training(world, out), NOWHERE, "down") as observers:
        write(observers.sink, range(1, 300))
    assert f"{NOWHERE}: does not accept metrics" in caplog.text
    assert f"{out}/tracking: 301 lines are not sent to {NOWHERE}" in caplog.text
    spool = left_spool(str(out))
    assert spool is not None
    assert spool.waiting() == 301
    with followed(training(world, out), uri, "down") as observers:
        write(observers.sink, range(295, 310))
    assert curve(client, runs_of(client, "down")["detector"], "loss") == [(s, 1 / s) for s in range(1, 310)]


def test_a_server_that_says_nothing_holds_up_no_training(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskx_model.registry.live_run.WAIT", 0.5)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3600")  # longer than any test may take
    set_quiet()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        before = mlflows_variables()
        with followed(training(world, tmp_path / "run" / "detector"), uri) as observers:
            within = mlflows_variables()
            write(observers.sink, range(1, 30))
            sink_of(observers).close()
            assert mlflows_variables() == within == before | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        assert mlflows_variables() == before  # although the sender still waits for an answer
        assert f"31 lines are not sent to {uri} (it does not answer)" in caplog.text


def test_what_a_finished_training_has_left_is_sent_when_it_is_started_again(
    world: Path, uri: str, client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "left" / "detector"
    with followed(training(world, out), NOWHERE, "left") as observers:
        write(observers.sink, range(1, 4))
    (out / "manifest.json").write_text("{}")
    with followed(training(world, out), uri, "left") as observers:
        assert observers == NOBODY
    assert f"{NOWHERE} still does not accept metrics" in caplog.text
    text = (out / "tracking" / "run.json").read_text()
    (out / "tracking" / "run.json").write_text(text.replace(NOWHERE, uri))
    with followed(training(world, out), uri, "left"):
        pass
    run = runs_of(client, "left")["detector"]
    assert curve(client, run, "loss") == [(step, 1 / step) for step in range(1, 4)]
    assert run.info.status == "FINISHED"


def test_the_log_says_when_the_server_answers_again(
    world: Path, uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    shutil.copy(uri.removeprefix("sqlite:///"), tmp_path / "there" / "mlflow.db")
    folder = tmp_path / "store"
    folder.touch()  # a file where the database's folder must be
    monkeypatch.setattr("maskx_model.registry.live_run.SEND_EVERY", 0.1)
    out = tmp_path / "run" / "detector"
    with caplog.at_level(logging.INFO), followed(training(world, out), f"sqlite:///{folder}/mlflow.db") as observers:
        write(observers.sink, range(1, 3))
        wait_for("the warning", lambda: "does not accept metrics" in caplog.text)
        folder.unlink()
        (tmp_path / "there").rename(folder)
        wait_for("the end of the outage", lambda: "answers again" in caplog.text)
    assert caplog.text.count("does not accept metrics") == 1


def test_a_password_in_a_servers_url_is_used_and_stands_in_no_log_and_no_file(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    out = tmp_path / "run" / "detector"
    with recording_server(lambda _: (500, {"message": "broken"})) as server:
        uri = server.url.replace("://", "://user:planted@")
        for _ in range(2):  # while the training runs, and when it is finished
            with followed(training(world, out), uri):
                pass
            (out / "manifest.json").write_text("{}")
        assert {asked.headers["authorization"] for asked in server.asked} == {"Basic dXNlcjpwbGFudGVk"}
        with pytest.raises(TrackingError) as refused, connected(uri) as client:
            client.search_experiments()
    caplog.set_level(logging.INFO)
    tell_pages(uri, "1", "2", "maskx", "3")
    assert caplog.text.count(f"{server.url} still does not accept metrics") == 1
    files = "".join(file.read_text() for file in (out / "tracking").iterdir() if file.is_file())
    assert server.url in files
    assert "planted" not in files + caplog.text + str(refused.value)


def test_a_local_runs_credentials_go_to_mlflows_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "before")
    assert to_environment("https://user:p%40ss@host:5000/mlflow") == "https://host:5000/mlflow"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("user", "p@ss")
    for other in ("https://host", "sqlite:////data/mlflow.db", "postgresql://user:password@host/mlflow"):
        assert to_environment(other) == other


def mlflows_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
