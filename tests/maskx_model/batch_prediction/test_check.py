"""What is wrong with a prediction is told before a GPU is asked for."""

from pathlib import Path
from typing import Any

import pytest

from data_prep.storage.errors import ConfigError
from maskx_model.batch_prediction.check import checked_model
from maskx_model.batch_prediction.options import BatchOptions
from maskx_model.registry.mlflow_run import connected
from tests.maskx_model.batch_prediction.small_images import NAMES, write_images
from tests.maskx_model.synthetic_dataset import write_model

PODS: dict[str, Any] = {"cpu": "8", "memory": "16Gi", "accelerator_count": "1", "gpu_tolerations": []}


def test_a_model_s_folder_is_the_model(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", NAMES, "transfer")
    options = BatchOptions(model, f"{tmp_path}/out", (write_images(tmp_path / "images", 1),))
    assert checked_model(options, PODS) == model


def test_an_alias_becomes_the_version_that_it_names(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with connected(uri) as client:
        client.create_registered_model("maskx")
        for _ in range(2):
            client.create_model_version("maskx", source=f"{tmp_path}/model")
        client.set_registered_model_alias("maskx", "champion", "1")
    images = (write_images(tmp_path / "images", 1),)
    options = BatchOptions("models:/maskx@champion", f"{tmp_path}/out", images, tracking_uri=uri)
    assert checked_model(options, PODS) == "models:/maskx/1"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    options = BatchOptions("models:/maskx@champion", f"{tmp_path}/out", (f"{tmp_path}/none",))
    with pytest.raises(ConfigError) as error:
        checked_model(options, {**PODS, "memory": "16GB"})
    lines = str(error.value).splitlines()
    assert lines[0] == "3 things are wrong:"
    for words in ("none: no ", "memory '16GB'", "tracking_uri: is empty; name MLflow's tracking server"):
        assert any(words in line for line in lines), words
