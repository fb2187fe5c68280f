"""A cluster whose ranks leave a real small model, and the training that a step asks it for."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from data_prep.format.reader import Dataset
from data_prep.storage.storage import write
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.launch.training import StageTraining, train_here
from tests.maskx_model.launch.small_cluster import SmallCluster, small_cluster
from tests.maskx_model.tiny_presets import tiny
from tests.recording_server import Recorder


@pytest.fixture(scope="session")
def trained(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> StageTraining:
    """A training that is done: its folder holds the model."""
    folder = tmp_path_factory.mktemp("trained")
    write(folder / "config.yaml", to_yaml(replace(tiny(1), name="toy")).encode())
    done = StageTraining("stage1", toy_dataset.uri, str(folder / "detector"), str(folder / "config.yaml"))
    train_here(done)
    return done


@pytest.fixture
def training(trained: StageTraining, tmp_path: Path) -> StageTraining:
    """The same, into a folder that is empty."""
    return msgspec.structs.replace(trained, out=str(tmp_path / "detector"))


@pytest.fixture
def cluster(trained: StageTraining, training: StageTraining) -> SmallCluster:
    """Its ranks write the training's model."""
    cluster = SmallCluster()
    cluster.write_model = lambda: shutil.copytree(trained.out, training.out)
    return cluster


@pytest.fixture
def asked(cluster: SmallCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """What the cluster is asked, by this process as a step of it."""
    for module in ("cluster", "train_job"):
        monkeypatch.setattr(f"maskx_model.launch.{module}.POLL", 0.01)
    with small_cluster(cluster, tmp_path) as (server, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield server
