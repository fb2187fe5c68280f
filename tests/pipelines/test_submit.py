"""`maskx pipeline submit` and `schedule`, by KFP's own client against a server on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from tests.pipelines.kfp_server import Kept
from tests.recording_server import Recorder, recording_server

NEEDED = ["root=/data/runs/first", "tracking_uri=http://mlflow:5000"]
CRON = "0 0 3 * * SUN"


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def server(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    with recording_server(kept.answer) as running:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", running.url)
        yield running


def only(kept: dict[str, Any]) -> Any:
    (value,) = kept.values()
    return value


def refused(words: list[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    return str(exit_.value.code)


def test_a_run_is_submitted_and_the_page_named(
    server: Recorder, kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*NEEDED, "classes=100", 'sources=["coco=coco:/data/a.json,/data/b"]', "accelerator_count=2"]
    main(["pipeline", "submit", *words, "--run-name", "first", "--service-account", "trainer"])
    run = only(kept.runs)
    assert run["display_name"] == "first"
    assert run["service_account"] == "trainer"
    assert run["runtime_config"]["parameters"] == {
        "root": "/data/runs/first",
        "tracking_uri": "http://mlflow:5000",
        "classes": 100,
        "sources": ["coco=coco:/data/a.json,/data/b"],
        "accelerator_count": "2",
    }
    version = only(kept.versions)
    assert run["pipeline_version_reference"]["pipeline_version_id"] == version["pipeline_version_id"]
    assert only(kept.pipelines)["display_name"] == "maskx-vg3000"
    assert only(kept.experiments)["display_name"] == "maskx"
    assert capsys.readouterr().out.splitlines() == [
        f"run run1 of version {version['display_name']}",
        f"{server.url}/#/runs/details/run1",
    ]


def test_another_pipeline_is_submitted_and_scheduled_by_its_name(server: Recorder, kept: Kept) -> None:
    words = ["--pipeline", "maskx_predict", "root=/data/predicted", 'inputs=["s3://bucket/photos"]']
    main(["pipeline", "submit", *words])
    main(["pipeline", "schedule", "create", *words, "--cron", CRON])
    assert only(kept.pipelines)["display_name"] == "maskx-predict"
    parameters = {"root": "/data/predicted", "inputs": ["s3://bucket/photos"]}
    assert only(kept.runs)["runtime_config"]["parameters"] == parameters
    assert only(kept.recurring)["runtime_config"]["parameters"] == parameters


def test_the_same_pipeline_is_uploaded_once(server: Recorder, kept: Kept) -> None:
    main(["pipeline", "submit", *NEEDED])
    main(["pipeline", "submit", *NEEDED])
    main(["pipeline", "submit", *NEEDED, "--image", "registry.example/maskx@sha256:0"])
    assert (len(kept.pipelines), len(kept.versions), len(kept.runs), len(kept.experiments)) == (1, 2, 3, 1)


def test_parameters_stand_in_a_file(server: Recorder, kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("root: /data/one\ntracking_uri: sqlite:///x\nseed: 3\nmax_rejected: 0\n")
    main(["pipeline", "submit", "--parameters-file", f"{tmp_path}/run.yaml", "root=/data/two"])
    assert only(kept.runs)["runtime_config"]["parameters"] == {
        "root": "/data/two",
        "tracking_uri": "sqlite:///x",
        "seed": 3,
        "max_rejected": 0.0,
    }


def test_a_token_goes_along(server: Recorder, kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    main(["pipeline", "submit", *NEEDED, "--token-file", f"{tmp_path}/token"])
    assert {request.headers["authorization"] for request in server.asked} == {"Bearer secret"}


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    message = refused(["pipeline", "submit", *NEEDED, "--host", "http://127.0.0.1:9"])
    assert message.startswith("maskx: http://127.0.0.1:9: no server of Kubeflow Pipelines answers")


def test_no_server_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    assert "--host is missing: name the server's URL" in refused(["pipeline", "submit", *NEEDED])


@pytest.mark.parametrize(("status", "hint"), [(401, "pass --token-file"), (404, "is it the server of Kubeflow Pip")])
def test_a_server_that_is_another_or_lets_nobody_in_is_told(
    server: Recorder, kept: Kept, status: int, hint: str
) -> None:
    kept.refused["/healthz"] = (status, {})
    assert hint in refused(["pipeline", "submit", *NEEDED])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_login_on_another_host_is_told_and_never_gets_the_token(
    server: Recorder, kept: Kept, status: int, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret\n")
    with recording_server(lambda _: (200, b"<html>Sign in")) as login:
        kept.refused["/healthz"] = (status, f"{login.url}/auth?state=1")
        message = refused(["pipeline", "submit", *NEEDED, "--token-file", f"{tmp_path}/token"])
    assert f"it sends to {login.url}/auth, as a server does that asks for a login; pass --token-file" in message
    assert login.asked == []


def test_what_the_server_refuses_is_told_in_its_words(server: Recorder, kept: Kept) -> None:
    kept.refused["/runs"] = (400, {"message": "the namespace has no such service account", "code": 3})
    message = refused(["pipeline", "submit", *NEEDED])
    assert message == f"maskx: {server.url}: refuses (400: the namespace has no such service account)"


def test_nothing_is_asked_of_the_server_before_the_parameters_are_right(server: Recorder) -> None:
    message = refused(["pipeline", "submit", "rot=/data", "classes=many", "sources", "seed=1.5", "only_if=1"])
    assert len(message.splitlines()) == 8
    for part in ("do you mean root", "classes is a whole number", "write NAME=VALUE", "root: is missing"):
        assert part in message
    assert server.asked == []


def test_a_schedule_runs_one_at_a_time_and_makes_up_for_nothing(
    server: Recorder, kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["pipeline", "schedule", "create", *NEEDED, "--cron", CRON, "--name", "weekly"])
    schedule = only(kept.recurring)
    assert schedule["trigger"]["cron_schedule"]["cron"] == CRON
    assert (schedule["max_concurrency"], schedule["no_catchup"], schedule["mode"]) == (1, True, "ENABLE")
    assert schedule["pipeline_version_reference"]["pipeline_version_id"] == only(kept.versions)["pipeline_version_id"]
    assert schedule["runtime_config"]["parameters"] == {
        "root": "/data/runs/first",
        "tracking_uri": "http://mlflow:5000",
        "dated": True,
        "only_if_changed": True,
    }
    main(["pipeline", "schedule", "show"])
    shown = capsys.readouterr().out
    assert f"weekly  enabled  cron {CRON}  recurringrun1\n  dated: True\n" in shown
    assert "  root: /data/runs/first\n" in shown


def test_a_schedule_is_paused_resumed_and_deleted(
    server: Recorder, kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["pipeline", "schedule", "create", *NEEDED, "--cron", CRON])
    main(["pipeline", "schedule", "pause"])
    assert only(kept.recurring)["status"] == "DISABLED"
    main(["pipeline", "schedule", "resume"])
    assert only(kept.recurring)["status"] == "ENABLED"
    main(["pipeline", "schedule", "delete"])
    assert kept.recurring == {}
    capsys.readouterr()
    main(["pipeline", "schedule", "show"])
    assert capsys.readouterr().out == "experiment 'maskx' has no schedule\n"


def test_a_schedule_is_replaced_by_a_new_one(server: Recorder, kept: Kept) -> None:
    main(["pipeline", "schedule", "create", *NEEDED, "--cron", CRON])
    main(["pipeline", "schedule", "replace", *NEEDED, "--cron", "0 30 2 * * *"])
    assert only(kept.recurring)["trigger"]["cron_schedule"]["cron"] == "0 30 2 * * *"


def test_a_schedule_may_train_again_though_nothing_changed(server: Recorder, kept: Kept) -> None:
    main(["pipeline", "schedule", "create", *NEEDED, "only_if_changed=false", "--cron", CRON])
    assert only(kept.recurring)["runtime_config"]["parameters"]["only_if_changed"] is False


def test_the_old_schedule_stays_where_the_server_refuses_the_new_one(server: Recorder, kept: Kept) -> None:
    main(["pipeline", "schedule", "create", *NEEDED, "--cron", CRON])
    answer = kept.answer
    kept.answer = lambda asked: (  # type: ignore[method-assign]
        (400, {"message": "no"}) if asked.method == "POST" and asked.path.endswith("/recurringruns") else answer(asked)
    )
    with recording_server(kept.answer) as refusing:
        words = ["pipeline", "schedule", "replace", *NEEDED, "--cron", "0 30 2 * * *", "--host", refusing.url]
        assert "refuses (400: no)" in refused(words)
    assert only(kept.recurring)["trigger"]["cron_schedule"]["cron"] == CRON


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["create", *NEEDED], "--cron is missing"),
        (["create", *NEEDED, "--cron", "0 3 * * *"], "has 5 fields, not six"),
        (["replace", *NEEDED, "--cron", CRON], "schedule 'maskx' does not exist; `maskx pipeline schedule create`"),
        (["pause", "--name", "weekly"], "no schedule 'weekly' in experiment 'maskx' (there are: none)"),
        (["delete", "--cron", CRON], "schedule delete: takes no cron, image or parameters"),
    ],
)
def test_mistakes_with_schedules_are_told(server: Recorder, words: list[str], message: str) -> None:
    assert message in refused(["pipeline", "schedule", *words])


def test_a_name_is_given_once(server: Recorder) -> None:
    words = ["pipeline", "schedule", "create", *NEEDED, "--cron", CRON]
    main(words)
    assert "schedule 'maskx' exists already; `maskx pipeline schedule replace`" in refused(words)
