"""How the first, the last and the exit step of a pipeline run tell each other, and people, how it went."""

import logging
from pathlib import Path
from typing import Any

import pytest

from data_prep.storage.errors import DataError, MaskxError
from maskx_model.preflight.journal import Journal, journal_uri, read_journal, write_journal
from maskx_model.preflight.outcome import note_version, report_outcome
from maskx_model.preflight.preflight import preflight
from maskx_model.preflight.request import Request
from maskx_model.preflight.versions import version_made_of
from maskx_model.registry.mlflow_run import connected

SMALL = ("data.toy_images=20", "data.toy_val_images=5")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db"


def version_of(client: Any, name: str) -> str:
    """A registered version of that name, as `register` makes one, without a model behind it."""
    run = client.create_run("0")
    client.create_registered_model(name)
    number = client.create_model_version(name, source=run.info.artifact_uri, run_id=run.info.run_id).version
    return f"models:/{name}/{number}"


def ended(client: Any, experiment: str) -> list[tuple[str, str]]:
    """State and tag of every run in an experiment."""
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id]) if found else []
    return [(run.info.status, run.data.tags.get("pipeline_ended", "")) for run in runs]


def test_a_run_that_registered_is_told_by_its_version(uri: str, client: Any, tmp_path: Path) -> None:
    version = version_of(client, "good")
    journal = journal_uri(str(tmp_path), "one")
    write_journal(journal, Journal(f"{tmp_path}", "f1"))
    note_version(version, journal, "one", uri)
    assert report_outcome(str(tmp_path), "one", "SUCCEEDED", "", "good", uri) == version
    registered = client.get_model_version("good", "1")
    assert registered.tags == {"fingerprint": "f1", "pipeline_run": "one"}
    assert client.get_run(registered.run_id).data.tags["pipeline_ended"] == "succeeded"
    assert version_made_of("f1", "good", uri) == version
    assert version_made_of("f2", "good", uri) == version_made_of("f1", "other", uri) == ""


def test_a_version_that_cannot_be_tagged_is_a_failed_run(
    uri: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    version, journal = version_of(client, "untagged"), journal_uri(str(tmp_path), "eight")
    write_journal(journal, Journal(f"{tmp_path}", "f1"))
    with pytest.raises(MaskxError):
        note_version(version, journal, "eight", "http://127.0.0.1:9")
    assert report_outcome(str(tmp_path), "eight", "FAILED", "no tracking server", "untagged", uri) == ""
    ((status, tag),) = ended(client, "untagged")
    assert (status, tag.partition(";")[0]) == ("FAILED", "failed (FAILED) no tracking server")


def test_a_failed_run_is_a_failed_run_in_the_tracking_server(
    uri: str, client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_journal(journal_uri(str(tmp_path), "two"), Journal(f"{tmp_path}/dated", "f1"))
    assert report_outcome(str(tmp_path), "two", "FAILED", "stage 1 ran out of memory", "bad", uri) == ""
    ((status, tag),) = ended(client, "bad")
    assert status == "FAILED"
    assert tag.startswith("failed (FAILED) stage 1 ran out of memory; a run with root")
    assert any(record.levelno == logging.ERROR and "two" in record.message for record in caplog.records)


def test_a_run_that_failed_in_its_first_step_is_told_too(uri: str, client: Any, tmp_path: Path) -> None:
    assert report_outcome(str(tmp_path), "three", "FAILED", "", "worse", uri) == ""
    assert ended(client, "worse") == [("FAILED", "failed in its first step, before anything was done (FAILED)")]


def test_a_run_that_kubeflow_opened_is_tagged_and_no_second_one_made(
    uri: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.create_run("0")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    report_outcome(str(tmp_path), "four", "FAILED", "", "joined", uri)
    assert client.get_run(run.info.run_id).data.tags["pipeline_run"] == "four"
    assert ended(client, "joined") == []


def test_a_run_that_kubeflow_opened_on_another_server_is_left_alone(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.elsewhere:5000")
    report_outcome(str(tmp_path), "six", "FAILED", "", "own", uri)
    with connected(uri) as client:
        ((status, _),) = ended(client, "own")
    assert status == "FAILED"


def test_a_root_that_cannot_be_read_is_told(uri: str, client: Any, tmp_path: Path) -> None:
    write_journal(journal_uri(str(tmp_path), "seven"), Journal(f"{tmp_path}", "f1"))
    Path(journal_uri(str(tmp_path), "seven")).write_text("{")
    assert report_outcome(str(tmp_path), "seven", "FAILED", "no bucket", "torn", uri) == ""
    ((status, tag),) = ended(client, "torn")
    assert status == "FAILED"
    assert tag.startswith("failed (FAILED) no bucket; its journal cannot be read: ")


def test_a_tracking_server_that_cannot_be_told_is_no_second_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert report_outcome(str(tmp_path), "five", "FAILED", "", "maskx", "http://127.0.0.1:9") == ""
    assert "the tracking server could not be updated" in caplog.text


def test_a_run_of_the_same_ends_early_and_names_the_version(uri: str, client: Any, tmp_path: Path) -> None:
    first = Request(f"{tmp_path}/root", uri, preset="toy", overrides=SMALL, registered_name="same", run_id="a")
    plan = preflight(first)
    assert plan.unchanged_since == ""
    version = version_of(client, "same")
    note_version(version, plan.journal, "a", uri)
    asked: dict[str, Any] = {
        "overrides": SMALL,
        "registered_name": "same",
        "only_if_changed": True,
        "dated": True,
        "preset": "toy",
    }
    second = preflight(Request(f"{tmp_path}/root", uri, run_id="b", **asked))
    assert second.unchanged_since == version
    assert second.root.startswith(f"{tmp_path}/root/20")
    assert not Path(second.root).exists()
    assert second.markdown.startswith(f"# Nothing has changed since {version}")
    assert report_outcome(f"{tmp_path}/root", "b", "SUCCEEDED", "", "same", uri) == version
    third = preflight(Request(f"{tmp_path}/root", uri, run_id="c", seed=9, **asked))
    assert third.unchanged_since == ""
    assert Path(third.config).is_file()


def test_a_journal_that_is_missing_or_damaged_is_told(uri: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such journal"):
        note_version("models:/maskx/1", f"{tmp_path}/none.json", "x", uri)
    for damaged in (b"{", b'{"root":"\xe1"}'):
        (tmp_path / "bad.json").write_bytes(damaged)
        with pytest.raises(DataError, match="not the journal of a pipeline run"):
            read_journal(f"{tmp_path}/bad.json")
