"""The registry: what MLflow holds after registering."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest

from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.presets import get_preset
from maskx_model.registry.logged_model import REQUIREMENTS
from maskx_model.registry.mlflow_run import TrackingError, connected, resolve_tracking_uri
from maskx_model.registry.registry import fetched_model, register
from maskx_model.report.evaluate import evaluate


def test_a_run_holds_settings_numbers_curves_data_and_pages(world: Path, uri: str, client: Any) -> None:
    evaluation = f"{world}/evaluation-one"
    stages, data, settings = (f"{world}/detector",), f"{world}/data", get_preset("toy")
    version = register(f"{world}/one", evaluation, "logged", uri, stages, data, preset=settings)
    assert version == "models:/logged/1"
    (run,) = client.search_runs([client.get_experiment_by_name("logged").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"{world.name}/one"
    assert run.data.tags["preset"] == "toy"
    assert run.data.params["model.mask.kind"] == "transfer"
    assert run.data.params["preset.stage1.steps"] == str(get_preset("toy").stage1.steps)
    assert run.data.tags["kind"] == "transfer"
    assert "| transfer |" in run.data.tags["mlflow.note.content"]
    assert {"ap/transfer/A", "ap_gt_boxes/transfer/B", "box_ap/transfer/all"} <= set(run.data.metrics)
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "detector/loss")][:2] == [
        (1, 1.0),
        (2, 0.5),
    ]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, len(dataset.dataset.digest)) == ("data", 36)
    assert (world / "data").as_uri() in dataset.dataset.source
    pages = {file.path for file in client.list_artifacts(run.info.run_id, "evaluation")}
    assert {"evaluation/report.html", "evaluation/metrics.json", "evaluation/pictures"} == pages
    assert (world / "tracking/mlartifacts/logged").is_dir()


def test_a_version_carries_its_card_numbers_parents_example_and_environment(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    stages, data = (f"{world}/detector",), f"{world}/data"
    register(f"{world}/one", f"{world}/evaluation-one", "whole", uri, stages, data)
    version = client.get_model_version("whole", "1")
    assert version.description.startswith("# one: Mask^X R-CNN, transfer\n")
    run = client.get_run(version.run_id)
    assert float(version.tags["mask_ap_b"]) == run.data.metrics["ap/transfer/B"]
    logged = client.get_logged_model(version.source.rpartition("/")[2])
    assert {metric.key: metric.value for metric in logged.metrics}["ap/transfer/A"] == run.data.metrics["ap/transfer/A"]
    files = Path(mlflow.artifacts.download_artifacts("models:/whole/1", dst_path=str(tmp_path)))
    assert (files / "artifacts/model_card.md").read_text() == version.description
    assert json.loads((files / "artifacts/lineage.json").read_bytes())["kind"] == "model"
    assert (files / "artifacts/model/model.safetensors").exists()
    assert {f"{name}==" for name in REQUIREMENTS} <= {
        line[: line.index("==") + 2] for line in (files / "requirements.txt").read_text().splitlines()
    }
    model = mlflow.pyfunc.load_model(str(files))
    (found,) = model.predict(model.input_example)
    assert all(mask["size"] == [480, 640] for mask in found["masks"])


def test_the_experiment_is_of_the_kind_for_training(world: Path, uri: str, client: Any, tmp_path: Path) -> None:
    client.create_experiment("kind", artifact_location=str(tmp_path))
    register(f"{world}/one", f"{world}/evaluation-one", "kind", uri)
    assert client.get_experiment_by_name("kind").tags["mlflow.experimentKind"] == "custom_model_development"


def test_the_same_model_is_registered_once(world: Path, uri: str, client: Any) -> None:
    versions = [register(f"{world}/one", f"{world}/evaluation-one", "once", uri) for _ in range(2)]
    assert versions == ["models:/once/1"] * 2
    assert len(client.search_runs([client.get_experiment_by_name("once").experiment_id])) == 1


def test_another_evaluation_of_the_same_model_is_another_version(world: Path, uri: str, tmp_path: Path) -> None:
    model, data = f"{world}/one", f"{world}/data"
    evaluate(model, data, f"{tmp_path}/fewer", f"{world}/baseline-one", max_images=2)
    for evaluation, number in ((f"{world}/evaluation-one", 1), (f"{tmp_path}/fewer", 2), (f"{tmp_path}/fewer", 2)):
        assert register(model, evaluation, "measured-twice", uri) == f"models:/measured-twice/{number}"


def test_what_a_killed_registration_has_left_is_cleared_away(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    """Killed while it logs, and between the version and the end of its run."""
    model, evaluation, name = f"{world}/two", f"{world}/evaluation-two", "killed"
    experiment = client.create_experiment(name, artifact_location=str(tmp_path))
    tags = {"model_sha256": model_hash(model)}
    half = client.create_run(experiment, tags=tags).info.run_id
    logged = client.create_logged_model(experiment, source_run_id=half).model_id
    register(model, evaluation, name, uri)
    (whole,) = client.search_runs([experiment])
    assert whole.info.run_id != half
    assert [each.model_id for each in client.search_logged_models([experiment])] != [logged]
    client.update_run(whole.info.run_id, status="RUNNING")
    register(model, evaluation, name, uri)
    assert [run.info.status for run in client.search_runs([experiment])] == ["FINISHED"]


def test_a_version_keeps_its_run_and_model_where_the_servers_answer_was_lost(
    world: Path, uri: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run counts as failed until the same is registered again; another evaluation of the model may come first."""
    model, name, create = f"{world}/one", "lost-answer", mlflow.MlflowClient.create_model_version

    def lose_answer(*arguments: Any, **options: Any) -> None:
        create(*arguments, **options)
        raise mlflow.MlflowException("the connection was closed")

    with monkeypatch.context() as lost:
        lost.setattr(mlflow.MlflowClient, "create_model_version", lose_answer)
        with pytest.raises(TrackingError, match="the connection was closed"):
            register(model, f"{world}/evaluation-one", name, uri)
    run_id = client.get_model_version(name, "1").run_id
    assert client.get_run(run_id).info.status == "FAILED"
    evaluate(model, f"{world}/data", f"{tmp_path}/fewer", f"{world}/baseline-one", max_images=2)
    assert register(model, f"{tmp_path}/fewer", name, uri) == f"models:/{name}/2"
    with fetched_model(f"models:/{name}/1", uri) as folder:
        assert (Path(folder) / "model.safetensors").exists()
    assert register(model, f"{world}/evaluation-one", name, uri) == f"models:/{name}/1"
    run = client.get_run(run_id)
    assert (run.info.status, run.info.lifecycle_stage) == ("FINISHED", "active")


def test_what_serving_says_where_there_is_no_champion(uri: str) -> None:
    """`infra/TROUBLES.md` quotes it."""
    with connected(uri) as client:
        client.create_registered_model("untried")
        with pytest.raises(mlflow.MlflowException, match="Registered model alias champion not found"):
            mlflow.pyfunc.load_model("models:/untried@champion")


def test_a_registered_model_comes_back_as_the_folder_it_was(world: Path, uri: str) -> None:
    version = register(f"{world}/one", f"{world}/evaluation-one", "fetched", uri)
    with fetched_model(version, uri) as folder:
        names = {file.name for file in Path(folder).iterdir()}
        assert names == {"manifest.json", "config.json", "vocabulary.json", "metrics.jsonl", "model.safetensors"}
        assert all((Path(folder) / name).read_bytes() == (world / "one" / name).read_bytes() for name in names)


def test_a_calibrated_model_is_registered_with_its_calibration(world: Path, uri: str) -> None:
    calibrated = shutil.copytree(world / "one", world / "calibrated")
    (calibrated / "calibration.json").write_text("{}")
    version = register(str(calibrated), f"{world}/evaluation-one", "calibrated", uri)
    with fetched_model(version, uri) as folder:
        assert (Path(folder) / "calibration.json").read_text() == "{}"


def test_names_and_stores_that_cannot_be_are_refused_in_a_sentence(world: Path, uri: str) -> None:
    model, evaluation = f"{world}/one", f"{world}/evaluation-one"
    with pytest.raises(ConfigError, match=r"name 'a/b': use letters"):
        register(model, evaluation, "a/b", uri)
    with pytest.raises(TrackingError, match="gopher://"):
        register(model, evaluation, tracking_uri="gopher://nowhere")
    for model_uri, message in (
        ("models:/nobody@champion", "'nobody' has no version 'champion'"),
        ("models:/maskx", "write models:/NAME/VERSION"),
    ):
        with pytest.raises(ConfigError, match=message), fetched_model(model_uri, uri):
            pass


def test_the_store_is_the_options_else_the_environments_else_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_tracking_uri(None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert resolve_tracking_uri(None) == "http://server"
    assert resolve_tracking_uri("http://other") == "http://other"


def test_mlflows_global_store_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    with connected(uri):
        assert mlflow.get_tracking_uri() == uri
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://server"
    assert mlflow.get_tracking_uri() == "http://server"


def test_everything_that_the_models_code_imports_is_required_beside_it() -> None:
    """What the serving code loads of ours, and what those files import at once; `PIL` is pillow's name for itself."""
    code = """
import ast, json, sys
import maskx_model.inference.segmenter, maskx_model.results.predict
ours = {n: m for n, m in sys.modules.items() if n.startswith(("maskx_model.", "data_prep.")) and m.__file__}
trees = [ast.parse(open(module.__file__).read()) for module in ours.values()]
names = [n for t in trees for s in t.body if isinstance(s, ast.Import) for n in [a.name for a in s.names]]
names += [s.module for t in trees for s in t.body if isinstance(s, ast.ImportFrom)]
print(json.dumps(sorted({n.partition(".")[0] for n in names} - sys.stdlib_module_names)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {"pillow" if name == "PIL" else name for name in json.loads(done.stdout)}
    assert {"torch", "msgspec"} <= imported
    assert imported - {"maskx_model", "data_prep"} <= set(REQUIREMENTS)
