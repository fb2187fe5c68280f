"""A training that is followed: its run in MLflow fills once, whatever happens to the training."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.storage.errors import DataError
from maskx_model.registry.live_training import FollowedTraining, describe_training, followed
from maskx_model.registry.mlflow_run import client_of
from maskx_model.training.metric_sink import NOBODY
from tests.maskx_model.registry.live import NOWHERE, curve, database_in, runs_of, sink_of, training, write
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.maskx_model.tiny_presets import tiny

NAMES = ["cup", "chair"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset `data`, and a finished `detector`."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 4, NAMES)[0], NAMES)
    write_model(folder / "detector", NAMES, None)
    return folder


@pytest.fixture(scope="module")
def uri(world: Path) -> str:
    return database_in(world)


@pytest.fixture
def client(uri: str) -> Any:
    return client_of(uri)


def test_a_run_below_the_pipelines_has_numbers_settings_data_pictures_and_the_machine(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    with followed(training(world, tmp_path / "run" / "detector"), uri, "whole") as observers:
        write(observers.sink, range(1, 5))
        sink_of(observers).show(4, "coco-1", np.zeros((8, 8, 3), np.uint8))
        sink_of(observers).close()
        runs = runs_of(client, "whole")
        assert {run.info.status for run in runs.values()} == {"RUNNING"}
        assert curve(client, runs["detector"], "loss") == [(step, 1 / step) for step in range(1, 5)]
    runs = runs_of(client, "whole")
    run, parent = runs["detector"], runs["run"]
    assert {run.info.status, parent.info.status} == {"FINISHED"}
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert curve(client, run, "learning_rate")[-1] == (4, 0.1)
    assert run.data.params["preset.stage1.steps"] == "4"
    assert run.data.params["source"] == "vg"
    assert "preset.stage2.steps" not in run.data.params
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, len(dataset.dataset.digest)) == ("data", 36)
    assert {file.path.partition("+timestamp")[0] for file in client.list_artifacts(run.info.run_id, "images")} == {
        "images/coco-1+step+4"
    }
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= set(run.data.metrics)
    assert {path.name for path in (tmp_path / "run" / "detector" / "tracking").iterdir()} == {"run.json", "pictures"}


def test_a_run_end_to_end_shows_what_stage_2_says_of_made_masks(world: Path, tmp_path: Path) -> None:
    preset = tiny(4)
    weighted = replace(preset, stage2=replace(preset.stage2, made_mask_weight=0.5))
    plain, own = (
        describe_training(FollowedTraining("joint", f"{world}/data", str(tmp_path), run), NOWHERE, "mine")
        for run in (preset, weighted)
    )
    assert not any(name.startswith("preset.stage2.") for name in plain.parameters)
    assert own.parameters["preset.stage2.made_mask_weight"] == "0.5"
    assert own.parameters["preset.stage2.min_mask_score"] == "0.0"


def test_the_parent_runs_while_one_below_it_runs_and_has_failed_if_one_has(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    before = dict(os.environ)
    with pytest.raises(RuntimeError), followed(training(world, tmp_path / "both" / "one"), uri, "both") as observers:
        write(observers.sink, range(1, 3))
        sink_of(observers).close()
        with followed(training(world, tmp_path / "both" / "other"), uri, "both") as others:
            write(others.sink, range(1, 3))
        runs = runs_of(client, "both")
        assert (runs["other"].info.status, runs["both"].info.status) == ("FINISHED", "RUNNING")
        raise RuntimeError
    assert runs_of(client, "both")["both"].info.status == "FAILED"
    assert dict(os.environ) == before  # MLflow's patience is for the senders alone


def test_a_training_that_is_started_again_goes_on_in_its_run_and_no_step_is_there_twice(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    out = tmp_path / "again" / "detector"
    with pytest.raises(SystemExit), followed(training(world, out), uri, "again") as observers:
        write(observers.sink, range(1, 7))
        raise SystemExit(143)
    assert runs_of(client, "again")["detector"].info.status == "KILLED"
    (out / "tracking" / "run.json").unlink()  # as on another machine
    with followed(training(world, out), uri, "again") as observers:
        write(observers.sink, range(4, 10), shift=100)
        sink_of(observers).close()
        assert runs_of(client, "again")["detector"].info.status == "RUNNING"
    run = runs_of(client, "again")["detector"]
    points = [(step, 1 / step) for step in range(1, 7)] + [(step, 1 / step + 100) for step in range(7, 10)]
    assert curve(client, run, "loss") == points
    assert run.info.status == "FINISHED"
    assert len(run.inputs.dataset_inputs) == 1


def test_trainings_in_one_folder_have_one_parent_and_other_inputs_another_run(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    first = training(world, tmp_path / "run" / "detector")
    masks = FollowedTraining("stage2", first.dataset, f"{tmp_path}/run/masks", first.run, {"kind": "transfer"})
    for each in (first, masks, training(world, tmp_path / "run" / "detector", steps=8)):
        with followed(each, uri, "folder") as observers:
            write(observers.sink, range(1, 3))
    runs = client.search_runs([client.get_experiment_by_name("folder").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["detector", "detector", "masks", "run"]
    assert len({run.data.tags.get("mlflow.parentRunId") for run in runs}) == 2
    (of_masks,) = (run for run in runs if run.info.run_name == "masks")
    assert of_masks.data.params["kind"] == "transfer"
    assert of_masks.data.params["preset.mask.convolutions"] == "1"


def test_the_run_that_the_environment_names_is_joined(
    world: Path, uri: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = client.create_run(client.create_experiment("of the pipelines"), run_name="theirs").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with followed(training(world, tmp_path / "run" / "detector"), None) as observers:
        write(observers.sink, range(1, 3))
    runs = runs_of(client, "of the pipelines")
    assert set(runs) == {"theirs", "detector"}
    assert runs["detector"].data.tags["mlflow.parentRunId"] == parent
    assert runs["theirs"].info.status == "RUNNING"  # it ends with the pipeline


def test_parts_of_a_training_that_make_the_same_steps_have_numbers_and_pictures_of_their_own(
    world: Path, uri: str, client: Any, tmp_path: Path
) -> None:
    with followed(training(world, tmp_path / "run" / "masks"), uri, "parts") as observers:
        for number, part in enumerate(("rate-0.1", "rate-0.01")):
            sink_of(observers).begin(part)
            write(observers.sink, range(1, 4), shift=number)
            sink_of(observers).show(3, "coco-1", np.zeros((8, 8, 3), np.uint8))
    run = runs_of(client, "parts")["masks"]
    for number, part in enumerate(("rate-0.1", "rate-0.01")):
        assert curve(client, run, f"{part}/loss") == [(step, 1 / step + number) for step in range(1, 4)]
        assert len(curve(client, run, f"system/{part}/cpu_utilization_percentage")) == 3
    files = {file.path.partition("+timestamp")[0] for file in client.list_artifacts(run.info.run_id, "images")}
    assert files == {"images/rate-0.1~coco-1+step+3", "images/rate-0.01~coco-1+step+3"}


def test_of_data_with_masks_to_measure_by_alone_a_detector_is_looked_at_in_all_classes(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", random_world(0, 4, NAMES)[0], NAMES)
    vocabulary = tmp_path / "data/vocabulary.json"
    vocabulary.write_bytes(re.sub(rb'("masks": 5)', rb'\1, "training_masks": 0', vocabulary.read_bytes()))
    plain = training(tmp_path, tmp_path / "out")
    run = replace(plain.run, mask_classes="coco", stage1=replace(plain.run.stage1, validate_every=7))
    with followed(replace(plain, run=run), None) as observers:
        assert observers.watch is not None


def test_an_error_in_the_training_marks_its_run_as_failed(world: Path, uri: str, client: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError), followed(training(world, tmp_path / "run" / "detector"), uri, "failed"):
        raise DataError("a shard is damaged")
    assert runs_of(client, "failed")["detector"].info.status == "FAILED"


def test_without_a_server_or_on_another_rank_nothing_is_sent(
    world: Path, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with followed(training(world, tmp_path / "detector"), None) as observers:
        assert observers == NOBODY
    monkeypatch.setenv("RANK", "1")
    with followed(training(world, tmp_path / "detector"), uri) as observers:
        assert observers == NOBODY
    assert not (tmp_path / "detector").exists()


@pytest.mark.parametrize(("stage", "best_by"), [("stage1", "val/box_ap_a"), ("stage2", "val/mask_ap_a")])
def test_the_configuration_asks_for_looks_at_validation_images(
    world: Path, tmp_path: Path, stage: Any, best_by: str
) -> None:
    plain = training(world, tmp_path / "out")
    schedule = replace(getattr(plain.run, stage), validate_every=7)
    run = replace(plain.run, mask_classes="coco", **{stage: schedule})
    with followed(replace(plain, stage=stage, run=run, options={"detector": f"{world}/detector"}), None) as observers:
        assert observers.watch is not None
        assert (observers.watch.every, observers.watch.best_by) == (7, best_by)
        assert observers.sink is None
