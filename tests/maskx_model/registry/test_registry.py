"""The registry: what MLflow holds after registering, and which version becomes the champion."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import msgspec
import pytest

from data_prep.storage.errors import ConfigError
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.presets import get_preset
from maskx_model.registry.mlflow_run import TrackingError, connected, resolve_tracking_uri
from maskx_model.registry.promotion import compare, promote
from maskx_model.registry.registry import REQUIREMENTS, fetched_model, register
from maskx_model.registry.run_contents import RunContents
from maskx_model.report.evaluate import evaluate
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

NAMES = ["cup", "chair"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset `data`, models `detector`, `one` and `two`, and evaluations `evaluation-one` and `-two`."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 4, NAMES)[0], NAMES)
    write_model(folder / "detector", NAMES, None)
    for seed, name in enumerate(("one", "two")):
        write_model(folder / name, NAMES, "transfer", seed=seed)
        evaluate(f"{folder}/{name}", f"{folder}/data", f"{folder}/evaluation-{name}")
    return folder


@pytest.fixture(scope="module")
def uri(world: Path) -> str:
    return f"sqlite:///{world}/tracking/mlflow.db"


@pytest.fixture
def client(uri: str) -> Iterator[Any]:
    with connected(uri) as connected_client:
        yield connected_client


def aliases(client: Any, name: str) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}


def measured(
    world: Path, model: str, ap_b: float | None, ap: float = 30.0, ground_truth: str | None = None, **made_from: str
) -> str:
    """An evaluation of the model with other mask AP on B and on all classes, and made in another way."""
    evaluation = msgspec.json.decode((world / f"evaluation-{model}/metrics.json").read_bytes(), type=Evaluation)
    changed = msgspec.structs.replace(
        evaluation,
        ap={"transfer": {**evaluation.ap["transfer"], "B": ap_b, "all": ap}},
        ground_truth=ground_truth or evaluation.ground_truth,
        made_from={**evaluation.made_from, **made_from},
    )
    folder = world / f"evaluation-{model}-{ap_b}-{ap}-{ground_truth}-{len(made_from)}"
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").write_bytes(msgspec.json.encode(changed))
    return str(folder)


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


def test_the_same_model_is_registered_once(world: Path, uri: str, client: Any) -> None:
    versions = [register(f"{world}/one", f"{world}/evaluation-one", "once", uri) for _ in range(2)]
    assert versions == ["models:/once/1"] * 2
    assert len(client.search_runs([client.get_experiment_by_name("once").experiment_id])) == 1


@pytest.mark.parametrize(
    ("name", "ap_b", "made_from", "champion"),
    [
        ("better", 21.0, {}, "2"),
        ("equal", 20.0, {}, "2"),
        ("worse", 19.0, {}, "1"),
        ("elsewhere", 90.0, {"ground_truth": "another"}, "1"),
        ("on-more-training-images", 21.0, {"dataset": "another"}, "2"),
    ],
)
def test_the_champion_is_replaced_by_a_model_as_good_on_the_same_images(
    world: Path, uri: str, client: Any, name: str, ap_b: float, made_from: dict[str, Any], champion: str
) -> None:
    register(f"{world}/one", measured(world, "one", 20.0), name, uri)
    assert aliases(client, name) == {"champion": "1"}
    register(f"{world}/two", measured(world, "two", ap_b, **made_from), name, uri)
    challenger = {} if champion == "2" else {"challenger": "2"}
    assert aliases(client, name) == {"champion": champion, **challenger}


@pytest.mark.parametrize(("name", "ap", "champion"), [("none-better", 31.0, "2"), ("none-worse", 29.0, "1")])
def test_where_b_is_empty_mask_ap_on_all_classes_decides(
    world: Path, uri: str, client: Any, name: str, ap: float, champion: str
) -> None:
    register(f"{world}/one", measured(world, "one", None), name, uri)
    register(f"{world}/two", measured(world, "two", None, ap), name, uri)
    assert aliases(client, name)["champion"] == champion


def test_the_first_ap_that_both_have_decides_and_is_named() -> None:
    def decision(own: dict[str, float], champion: dict[str, str]) -> tuple[bool, str]:
        record = RunContents("", "transfer", own, "same", {}, {}, (), None, {})
        return compare(record, {"test_set": "same", **champion})

    assert decision({"mask_ap_b": 9.0, "mask_ap": 40.0}, {"mask_ap_b": "10", "mask_ap": "30"}) == (
        False,
        "its mask AP on B is 9.00, the champion's 10.00",
    )
    assert decision({"mask_ap": 31.0, "box_ap": 1.0}, {"mask_ap_b": "10", "mask_ap": "30", "box_ap": "2"}) == (
        True,
        "its mask AP on all classes is 31.00, the champion's 30.00",
    )
    assert decision({"box_ap": 1.0}, {"box_ap": "2"}) == (
        False,
        "its box AP on all classes is 1.00, the champion's 2.00",
    )
    assert decision({}, {"box_ap": "2"}) == (False, "no AP was measured of both")


def test_registering_says_what_was_compared(world: Path, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "maskx_model"):
        for name, ap in (("one", 30.0), ("two", 31.0)):
            register(f"{world}/{name}", measured(world, name, None, ap), "said", uri)
    assert "models:/said/2 is the champion: its mask AP on all classes is 31.00, the champion's 30.00" in caplog.text


def test_a_champion_that_was_replaced_does_not_come_back_by_registering_again(
    world: Path, uri: str, client: Any
) -> None:
    one = (f"{world}/one", measured(world, "one", 20.0), "replaced", uri)
    register(*one)
    register(f"{world}/two", measured(world, "two", 20.0), "replaced", uri)
    assert register(*one) == "models:/replaced/1"
    assert aliases(client, "replaced") == {"champion": "2"}


def test_promoting_makes_a_version_the_champion_by_number_or_alias(world: Path, uri: str, client: Any) -> None:
    register(f"{world}/one", measured(world, "one", 20.0), "promoted", uri)
    register(f"{world}/two", measured(world, "two", 1.0), "promoted", uri)
    assert promote("promoted", "challenger", uri) == "models:/promoted/2"
    assert aliases(client, "promoted") == {"champion": "2"}
    assert promote("promoted", 1, uri) == "models:/promoted/1"
    assert aliases(client, "promoted") == {"champion": "1"}
    with pytest.raises(
        ConfigError, match=r"'promoted' has no version '7' in the registry \(there are: 1, 2, champion\)"
    ):
        promote("promoted", "7", uri)
    with pytest.raises(ConfigError, match="'nobody' has no version '1'"):
        promote("nobody", "1", uri)


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
