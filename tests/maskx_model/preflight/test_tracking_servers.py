"""The preflight asks the tracking server, and tells what is wrong with it."""

from pathlib import Path

import pytest

from maskx_model.preflight.preflight import preflight
from tests.maskx_model.preflight.requested import Requested, problems
from tests.recording_server import Answer, Asked, recording_server


def test_a_tracking_server_that_is_not_there_is_told(requested: Requested) -> None:
    (line,) = problems(requested(tracking_uri="http://127.0.0.1:9"))
    assert line.startswith("tracking_uri http://127.0.0.1:9: no answer")


def test_a_file_that_is_no_database_is_told(requested: Requested, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all, but a text of some length\n" * 50)
    (line,) = problems(requested(tracking_uri=f"sqlite:///{tmp_path}/notes.txt"))
    assert "no database that can be written" in line


def test_a_tracking_server_is_asked_for_an_experiment(requested: Requested, coco: str) -> None:
    with recording_server(lambda _: (200, {"experiments": []})) as server:
        preflight(requested(tracking_uri=server.url, sources=(coco,)))
    (asked,) = server.asked
    assert (asked.path, asked.json()) == ("/api/2.0/mlflow/experiments/search", {"max_results": 1})


def test_a_tracking_server_that_wants_credentials_gets_those_that_there_are(
    requested: Requested, coco: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Answer:
        return (200, {"experiments": []}) if asked.headers.get("authorization") == "Bearer good" else (401, {})

    with recording_server(answer) as server:
        request = requested(tracking_uri=server.url, sources=(coco,))
        (line,) = problems(request)
        assert line.startswith(f"{server.url}: MLflow refuses")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "good")
        preflight(request)


def test_a_server_that_needs_no_credentials_may_refuse_wrong_ones(
    requested: Requested, coco: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
    with recording_server(lambda asked: (401 if "authorization" in asked.headers else 200, {})) as server:
        (line,) = problems(requested(tracking_uri=server.url, sources=(coco,)))
    assert line.startswith(f"{server.url}: MLflow refuses")


def test_a_server_that_is_not_mlflows_is_told(requested: Requested) -> None:
    with recording_server(lambda _: (200, b"<html>")) as server:
        (line,) = problems(requested(tracking_uri=server.url))
    assert line.startswith(f"{server.url}: MLflow refuses")


def test_a_password_in_a_servers_url_is_refused_and_shown_nowhere(requested: Requested, coco: str) -> None:
    with recording_server(lambda _: (200, {"experiments": []})) as server:
        uri = server.url.replace("://", "://user:planted@")
        (line,) = problems(requested(tracking_uri=uri, sources=(coco,)))
    assert line.startswith(f"tracking_uri {server.url}: was given with a user's name or password")
    assert "the parameter mlflow_secret names" in line
    found = problems(requested(tracking_uri="http://user:with@planted@127.0.0.1:9"))
    assert len(found) == 2
    assert "planted" not in str(found)
