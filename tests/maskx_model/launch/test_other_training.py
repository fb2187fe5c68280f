"""A TrainJob, or its model, of something else than the step trains: neither is taken for the step's own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from data_prep.storage.errors import CheckpointError, MaskxError
from data_prep.storage.storage import write
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.launch.launch import launch
from maskx_model.launch.train_job import job_name
from maskx_model.launch.training import StageTraining
from tests.maskx_model.launch.small_cluster import SmallCluster
from tests.maskx_model.launch.small_training import MACHINES, made_before
from tests.maskx_model.tiny_presets import tiny
from tests.recording_server import Recorder


@pytest.mark.parametrize(
    "other",
    [
        {"command": ["python", "-m", "maskx_model.launch.ranks", "{}"]},
        {"image": "registry.example/maskx@sha256:1"},
        {"numNodes": 3},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_train_job_of_another_training_is_neither_followed_nor_deleted(
    asked: Recorder, cluster: SmallCluster, training: StageTraining, other: dict[str, Any]
) -> None:
    made_before(cluster, training, **other)
    name, (field,) = job_name(training), other
    remedy = rf"delete it \(kubectl delete trainjob,trainingruntime {name} -n default\)"
    with pytest.raises(
        MaskxError, match=f"TrainJob {name} trains into this folder already, with another {field}; .*{remedy}"
    ):
        launch(training, MACHINES)
    assert {each.method for each in asked.asked} == {"GET"}


def test_the_model_of_a_train_job_is_refused_if_it_is_of_other_inputs(
    asked: Recorder, cluster: SmallCluster, training: StageTraining, tmp_path: Path
) -> None:
    write(tmp_path / "config.yaml", to_yaml(replace(tiny(2), name="toy")).encode())
    other = msgspec.structs.replace(training, config=str(tmp_path / "config.yaml"))
    with pytest.raises(CheckpointError, match=f"{training.out}: holds a model of"):
        launch(other, MACHINES)
    assert cluster.objects == {}


def test_a_train_job_that_is_complete_without_a_model_is_an_error(
    asked: Recorder, cluster: SmallCluster, training: StageTraining
) -> None:
    cluster.write_model = lambda: None
    with pytest.raises(CheckpointError, match=f"{training.out}: no finished model, although TrainJob .* is complete"):
        launch(training, MACHINES)
    assert cluster.objects == {}
