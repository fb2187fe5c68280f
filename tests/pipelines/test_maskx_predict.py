"""Batch prediction as a pipeline: as it is compiled, and whole under the local runner."""

import json
from pathlib import Path

import yaml

from pipelines.compiling import compiled, steps_of
from pipelines.local import run_locally
from tests.maskx_model.batch_prediction.small_images import NAMES, write_images
from tests.maskx_model.synthetic_dataset import write_model

BESIDE = Path(__file__).parents[2] / "pipelines" / "maskx_predict.yaml"


def test_the_yaml_beside_the_pipeline_is_in_step_with_it() -> None:
    text = BESIDE.read_text(encoding="utf-8")
    assert text == compiled(pipeline="maskx_predict"), "run `make pipeline`"
    assert text.isascii()


def test_its_steps_say_what_they_need_and_the_prediction_is_tried_again() -> None:
    spec = next(yaml.safe_load_all(BESIDE.read_text(encoding="utf-8")))
    tasks, executors = steps_of(spec), spec["deploymentSpec"]["executors"]
    tries = {name: task["retryPolicy"].get("maxRetryCount", 0) for name, task in tasks.items()}
    assert tries == {"check-prediction": 3, "predict-batch": 10}
    assert all(task["cachingOptions"] == {} for task in tasks.values())
    resources = {name: set(each["container"]["resources"]) for name, each in executors.items()}
    assert all({"resourceCpuRequest", "resourceMemoryLimit"} <= each for each in resources.values())
    assert [name for name, each in resources.items() if "accelerator" in each] == ["exec-predict-batch"]


def test_a_run_ends_with_predictions_in_a_folder_of_its_own(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", NAMES, "transfer")
    photos = write_images(tmp_path / "photos", 2)
    arguments = {"root": f"{tmp_path}/root", "model": model, "inputs": [photos]}
    out = run_locally(arguments, tmp_path, "maskx_predict")
    assert Path(out).parent == tmp_path / "root"
    assert "$" not in Path(out).name  # the run's id, not the placeholder
    assert json.loads(Path(out, "manifest.json").read_text())["images"] == 2
