"""Real trainings that are followed: what MLflow holds of them, and models that do not depend on it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.train_detector import train_detector as train_detector_step
from components.train_masks import train_masks as train_masks_step
from data_prep.format.reader import Dataset
from maskx_model.configure.choose import choose_named
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.registry.live_training import FollowedTraining, followed
from maskx_model.registry.mlflow_run import client_of
from maskx_model.registry.run_contents import read_curves
from maskx_model.run_config import RunConfig
from maskx_model.training.stages import train_detector, train_joint, train_masks
from pipelines.cli import main
from tests.maskx_model.registry.live import curve, database_in, runs_of
from tests.maskx_model.tiny_presets import tiny, tiny_cached
from tests.maskx_model.training.same_model import assert_same_model


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return database_in(tmp_path_factory.mktemp("tracking"))


@pytest.fixture
def client(uri: str) -> Any:
    return client_of(uri)


def looking(preset: RunConfig) -> RunConfig:
    """The preset with a look at 4 validation images every other step."""
    changed = {
        stage: replace(getattr(preset, stage), validate_every=2, validate_images=4)
        for stage in ("stage1", "stage2", "joint")
    }
    return replace(preset, **changed)


def test_each_stage_has_its_curves_looks_and_pictures_and_the_model_it_would_have_alone(
    toy_dataset: Dataset, uri: str, client: Any, tmp_path: Path
) -> None:
    data, preset = toy_dataset.uri, looking(tiny_cached())
    detector, masks = f"{tmp_path}/run/detector", f"{tmp_path}/run/masks"
    with followed(FollowedTraining("stage1", data, detector, preset), uri) as observers:
        train_detector(data, detector, preset, device="cpu", observers=observers)
    options = {"detector": detector}
    with followed(FollowedTraining("stage2", data, masks, preset, options), uri) as observers:
        train_masks(data, detector, masks, preset, device="cpu", observers=observers)
    runs = runs_of(client)
    assert set(runs) == {"run", "detector", "masks"}
    losses = {each.name.removeprefix("detector/"): list(each.points) for each in read_curves(detector)}
    assert {"loss", "learning_rate"} < set(losses)
    assert all(curve(client, runs["detector"], name) == points for name, points in losses.items())
    logged = set(runs["detector"].data.metrics)
    assert {"system/images_per_second", "system/data_wait", "system/memory_bytes", "system/seconds_left"} < logged
    for name, prefix in (("detector", ""), ("masks", "rate-0.003/"), ("masks", "rate-0.001/")):
        assert [step for step, _ in curve(client, runs[name], f"{prefix}loss")] == [1, 2, 3, 4]
        measured = [metric for metric in runs[name].data.metrics if metric.startswith(f"{prefix}val/")]
        assert measured
        assert all([step for step, _ in curve(client, runs[name], metric)] == [2, 4] for metric in measured)
        images = [file.path for file in client.list_artifacts(runs[name].info.run_id, "images")]
        assert {int(path.split("+step+")[1].partition("+")[0]) for path in images} == {2, 4}
    train_detector(data, f"{tmp_path}/alone/detector", preset, device="cpu")
    assert_same_model(detector, f"{tmp_path}/alone/detector")
    train_masks(data, detector, f"{tmp_path}/alone/masks", preset, device="cpu")
    assert_same_model(masks, f"{tmp_path}/alone/masks")


def test_end_to_end_is_followed_too(toy_dataset: Dataset, uri: str, client: Any, tmp_path: Path) -> None:
    out, preset = f"{tmp_path}/run/model", looking(tiny(2))
    with followed(FollowedTraining("joint", toy_dataset.uri, out, preset), uri, "end to end") as own:
        train_joint(toy_dataset.uri, out, preset, device="cpu", observers=own)
    run = runs_of(client, "end to end")["model"]
    assert [step for step, _ in curve(client, run, "loss_mask")] == [1, 2]
    assert any(name.startswith("val/box_ap") for name in run.data.metrics)


def test_the_commands_are_followed(
    toy_dataset: Dataset, uri: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a server that an option names, and with that of the environment."""
    detector, masks, joint = (f"{tmp_path}/run/{name}" for name in ("detector", "masks", "joint"))
    options = ["--dataset", toy_dataset.uri, "--preset", "toy", "--steps", "1", "--set", "crops.steps=0"]
    options += ["--set", "mask_classes=random:30:0", "--device", "cpu", "--experiment", "mine"]
    main(["train", "detector", *options, "--out", detector, "--tracking-uri", uri])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    main(["train", "masks", *options, "--detector", detector, "--out", masks, "--learning-rate", "0.001"])
    main(["train", "joint", *options, "--out", joint])
    runs = runs_of(client, "mine")
    assert set(runs) == {"run", "detector", "masks", "joint"}
    for name in ("detector", "masks", "joint"):
        assert [number for number, _ in curve(client, runs[name], "loss")] == [1]
    assert runs["masks"].data.params["detector"] == detector
    assert runs["joint"].data.params["preset.joint.steps"] == "1"


def test_the_pipelines_steps_are_followed(toy_dataset: Dataset, uri: str, client: Any, tmp_path: Path) -> None:
    detector, masks = (f"{tmp_path}/run/{name}" for name in ("detector", "masks"))
    changes = [
        "crops.steps=2",
        "stage1.steps=1",
        "stage1.images_per_batch=1",
        "stage2.steps=1",
        "stage2.learning_rates=0.001",
    ]
    steps: list[Callable[..., str]] = [train_detector_step.python_func, train_masks_step.python_func]
    followed = {"tracking_uri": uri, "experiment": "steps"}
    here = {"nodes": "1", "node_cpu": "1", "node_memory": "4Gi", "node_accelerators": "0"}
    pool = {"accelerator_kind": "nvidia.com/gpu", "node_selector": {}, "tolerations": []}
    config = tmp_path / "config.yaml"
    config.write_text(to_yaml(choose_named("toy", [*changes, "mask_classes=random:30:0"])))
    asked = {"dataset": toy_dataset.uri, "config": str(config), **followed, **here, **pool}
    assert steps[0](out=detector, **asked) == detector
    steps[1](detector=detector, out=masks, kind="class_agnostic", **asked)
    runs = runs_of(client, "steps")
    assert set(runs) == {"run", "detector", "masks"}
    assert all(curve(client, runs[name], "loss") for name in ("detector", "masks"))
    assert [step for step, _ in curve(client, runs["detector"], "crops/loss")] == [2]
    assert runs["detector"].data.params["preset.crops.steps"] == "2"
    assert runs["masks"].data.params["kind"] == "class_agnostic"
