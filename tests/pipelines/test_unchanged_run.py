"""A run of which nothing has changed ends early, on this machine as on a cluster."""

from pathlib import Path

import pytest

from maskx_model.preflight.outcome import note_version
from maskx_model.preflight.preflight import preflight
from maskx_model.preflight.request import Request
from maskx_model.registry.mlflow_run import connected
from pipelines.local import run_locally

SMALL = ["data.toy_images=20", "data.toy_val_images=5"]


@pytest.mark.slow  # it starts MLflow twice
def test_nothing_is_prepared_or_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    plan = preflight(Request(f"{tmp_path}/first", uri, preset="toy", overrides=tuple(SMALL)))
    with connected(uri) as client:
        run = client.create_run("0")
        client.create_registered_model("maskx")
        client.create_model_version("maskx", source=run.info.artifact_uri, run_id=run.info.run_id)
    note_version("models:/maskx/1", plan.journal, "first", uri)
    out = tmp_path / "second"
    out.mkdir()
    arguments = {"root": str(out), "tracking_uri": uri, "preset": "toy", "overrides": SMALL, "accelerator_count": "0"}
    assert run_locally({**arguments, "only_if_changed": True}, out) == "models:/maskx/1"
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("[")] == ["[1/9] preflight", "[2/9] finish"]
    assert "nothing has changed since models:/maskx/1 was made" in shown
    assert {path.name for path in out.iterdir()} == {"costs.json", "kfp", "pipeline.log", "runs"}
