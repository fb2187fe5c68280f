"""Components are thin: an interface, and one call of the library."""

import ast
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components import (
    check_prediction,
    estimate,
    evaluate,
    finish,
    predict_batch,
    preflight,
    prepare,
    register,
    study_features,
    study_split,
    study_splits,
    study_table,
    train_detector,
    train_masks,
)
from components.image import IMAGE
from data_prep.format.manifest import read_manifest
from data_prep.format.vocabulary import Vocabulary, write_vocabulary
from data_prep.storage.errors import ConfigError
from maskx_model.configure.choose import choose
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.presets import get_preset
from tests.data_prep.small_sources import coco_image, coco_object, write_coco
from tests.maskx_model.batch_prediction.small_images import NAMES, write_images
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import vocabulary_of, write_dataset, write_model

COMPONENTS: dict[str, Any] = {
    "check_prediction": check_prediction.check_prediction,
    "estimate": estimate.estimate,
    "evaluate": evaluate.evaluate,
    "finish": finish.finish,
    "predict_batch": predict_batch.predict_batch,
    "preflight": preflight.preflight,
    "prepare": prepare.prepare,
    "register": register.register,
    "study_features": study_features.study_features,
    "study_split": study_split.study_split,
    "study_splits": study_splits.study_splits,
    "study_table": study_table.study_table,
    "train_detector": train_detector.train_detector,
    "train_masks": train_masks.train_masks,
}


def function(name: str) -> Callable[..., Any]:
    """The component's body as a plain function."""
    body: Callable[..., Any] = COMPONENTS[name].python_func
    return body


def test_every_component_file_is_tried_here() -> None:
    folder = Path(__file__).parents[2] / "components"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "image"} == set(COMPONENTS)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_runs_in_our_image_and_installs_nothing(name: str) -> None:
    container = COMPONENTS[name].component_spec.implementation.container
    assert container.image == IMAGE
    assert "pip" not in " ".join(container.command[:-1])


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_documents_every_argument(name: str) -> None:
    documentation = inspect.getdoc(function(name)) or ""
    arguments = documentation.partition("Args:")[2].partition("Returns:")[0]
    assert all(f"    {parameter}: " in arguments for parameter in inspect.signature(function(name)).parameters)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_imports_inside_and_stays_thin(name: str) -> None:
    tree = ast.parse(inspect.getsource(function(name)))
    body = tree.body[0]
    assert isinstance(body, ast.FunctionDef)
    statements = [node for node in ast.walk(body) if isinstance(node, ast.stmt)]
    assert len(statements) <= 16
    assert any(isinstance(node, ast.ImportFrom) for node in body.body)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_shows_what_the_libraries_log(name: str) -> None:
    body = ast.parse(inspect.getsource(function(name))).body[0]
    assert isinstance(body, ast.FunctionDef)
    first = next(node for node in body.body[1:] if not isinstance(node, ast.ImportFrom))
    assert ast.unparse(first) == "show_log()"


CONFIG = 2
"""Place of the configuration among the preflight's outputs."""


class Written(NamedTuple):
    """What KFP hands a component for an artifact to write: where."""

    path: str
    metadata: dict[str, Any]


SIZES = {
    "light_cpu": "1",
    "light_memory": "4Gi",
    "detector_cpu": "8",
    "detector_memory": "64Gi",
    "masks_cpu": "6",
    "masks_memory": "48Gi",
}


def checked(tmp_path: Path, **changes: Any) -> Any:
    """What the preflight step passes on for a toy run on folders with these changes."""
    request = {
        "root": f"{tmp_path}/root",
        "tracking_uri": f"sqlite:///{tmp_path}/mlflow.db",
        "sources": [f"coco=coco:{tmp_path}/coco,{tmp_path}/coco"],
        "preset": "toy",
        "config": "",
        "overrides": ["stage1_source=coco"],
        "classes": -1.0,  # numbers may arrive as floats
        "max_rejected": -1.0,
        "exif": "auto",
        "mask_classes": "",
        "seed": -1.0,
        "weights": "",
        "registered_name": "maskx",
        "nodes": "1",
        "accelerator_type": "nvidia.com/gpu",
        "accelerator_count": "0",
        "gpu_node_selector": {},
        "gpu_tolerations": [],
        "sizes": SIZES,
        "run_id": "one",
        "dated": False,
        "only_if_changed": False,
        "registers": True,
    }
    (tmp_path / "coco").mkdir(exist_ok=True)
    return function("preflight")(**{**request, **changes}, plan=Written(f"{tmp_path}/plan.md", {}))


def test_the_preflight_passes_on_sources_and_the_whole_configuration(tmp_path: Path) -> None:
    root, sources, config, journal, changed, *_ = checked(
        tmp_path, seed=4.0, overrides=["stage1_source=coco", "stage1.steps=7"]
    )
    assert (root, changed) == (f"{tmp_path}/root", "changed")
    assert Path(journal).is_file()
    assert sources == [f"coco=coco:{tmp_path}/coco,{tmp_path}/coco"]
    run = choose(config=config)
    assert (run.seed, run.stage1.steps, run.name) == (4, 7, "toy")
    assert (tmp_path / "plan.md").read_text().startswith("# Plan: preset toy")


def test_the_trainings_pods_are_large_where_they_train_and_small_where_they_follow(tmp_path: Path) -> None:
    pool = {"accelerator_count": "4", "gpu_node_selector": {"pool": "gpu"}, "gpu_tolerations": [{"key": "gpu"}]}
    trains = checked(tmp_path, **pool)[CONFIG + 3 :]
    assert trains == ("8", "64Gi", "6", "48Gi", "4", {"pool": "gpu"}, [{"key": "gpu"}], "1")
    follows = checked(tmp_path, **pool, nodes="2")[CONFIG + 3 :]
    assert follows == ("1", "4Gi", "1", "4Gi", "0", {}, [], "1")
    shared = {"light_cpu": "1", "light_memory": "4Gi", "cpu": "8", "memory": "64Gi"}
    assert checked(tmp_path, sizes=shared)[CONFIG + 3 :][:4] == ("8", "64Gi", "8", "64Gi")


def test_there_is_no_estimate_where_all_classes_have_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["cup", "chair"]
    write_dataset(tmp_path / "data", random_world(0, 8, names)[0], names)
    write_vocabulary(f"{tmp_path}/data/vocabulary.json", Vocabulary(vocabulary_of(names).classes[: len(names)]))
    run = replace(get_preset("toy"), mask_classes="coco")
    (tmp_path / "run.yaml").write_text(to_yaml(run), encoding="utf-8")
    places = (f"{tmp_path}/data", "nowhere", f"{tmp_path}/out", f"{tmp_path}/run.yaml")
    assert function("estimate")(True, *places, "1", None) == ""
    told = capsys.readouterr().err
    assert "there is no estimate of mask AP on B: " in told and "all classes have masks in training" in told


def test_an_estimate_that_is_not_wanted_is_not_made(tmp_path: Path) -> None:
    assert function("estimate")(False, "nowhere", "nowhere", f"{tmp_path}/out", "nowhere", "1", None) == ""
    assert list(tmp_path.iterdir()) == []


def test_the_exif_rule_reaches_the_dataset(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", [coco_image(1)], [coco_object(1, 1)])
    config = checked(tmp_path, sources=[f"coco=coco:{tmp_path}/coco"], classes=0.0)[CONFIG]
    out = f"{tmp_path}/dataset"
    assert function("prepare")([f"coco=coco:{tmp_path}/coco"], out, config, "ignore", "1") == out
    assert read_manifest(out).parameters["exif"] == "ignore"


def test_what_no_retry_can_mend_fails_in_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="4 things are wrong") as error:
        sizes = {**SIZES, "evaluate_memory": "32GB"}
        checked(tmp_path, seed=-4.0, registered_name="team/maskx", accelerator_count="many", sizes=sizes)
    assert len(str(error.value).splitlines()) == 5
    assert not (tmp_path / "plan.md").exists()


def test_predictions_are_handed_on_by_their_uri_with_a_manifest_and_a_summary(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", NAMES, "transfer")
    photos, out = write_images(tmp_path / "photos", 2), f"{tmp_path}/out/first"
    predictions, summary = Written(f"{tmp_path}/manifest", {}), Written(f"{tmp_path}/summary", {})
    asked = {"model": model, "inputs": [photos], "dataset": "", "split": "", "tracking_uri": ""}
    place = {"root": f"{tmp_path}/out", "run_id": "first"}
    engine = {"batch": 1.0, "max_rejected": 0.01, "runner": "", "beam": []}  # numbers may arrive as floats
    pod = {"sizes": SIZES, "accelerator_count": "1", "gpu_node_selector": {}, "gpu_tolerations": []}
    assert function("check_prediction")(**asked, **place, **engine, **pod) == model
    assert function("predict_batch")(**asked, **place, **engine, predictions=predictions, summary=summary) == out
    assert Path(predictions.path).read_bytes() == Path(out, "manifest.json").read_bytes()
    assert (predictions.metadata["uri"], predictions.metadata["images"]) == (out, 2)
    assert "2 images segmented" in Path(summary.path).read_text()
