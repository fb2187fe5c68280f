"""Batch prediction on what stands in object storage, into object storage, by a registered model."""

from pathlib import Path

import pytest

from data_prep.beam.engine import Engine
from data_prep.storage.storage import list_files, read
from maskx_model.batch_prediction.options import BatchOptions
from maskx_model.batch_prediction.predict_batch import predict_batch
from maskx_model.registry.registry import register
from maskx_model.report.evaluate import evaluate
from tests.maskx_model.batch_prediction.small_images import NAMES, write_images
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.services.test_s3_annotate import upload

pytestmark = pytest.mark.services

ELSEWHERE = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
"""An engine that is named, as a cluster is."""


def test_a_prefix_is_predicted_on_as_a_folder(store: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", NAMES, "transfer")
    photos = write_images(tmp_path / "photos", 3)
    there = upload(tmp_path / "model", f"{store}/model"), upload(tmp_path / "photos", f"{store}/photos")
    predict_batch(BatchOptions(there[0], f"{store}/out", (there[1],)))
    predict_batch(BatchOptions(model, f"{tmp_path}/out", (photos,)))
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sorted(list_files(f"{store}/out")) == files
    assert read(f"{store}/out/results.json") == (tmp_path / "out/results.json").read_bytes()


def test_a_dataset_of_a_bucket_is_predicted_on_by_a_registered_model(store: str, tmp_path: Path) -> None:
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    data = write_dataset(tmp_path / "data", random_world(0, 4, NAMES)[0], NAMES)
    model = write_model(tmp_path / "model", NAMES, "transfer")
    evaluate(model, data, f"{tmp_path}/evaluation")
    version = register(model, f"{tmp_path}/evaluation", tracking_uri=tracking)
    dataset = upload(tmp_path / "data", f"{store}/data")
    made = predict_batch(
        BatchOptions(version, f"{store}/out", dataset=dataset, engine=Engine(ELSEWHERE), tracking_uri=tracking)
    )
    assert (made.images, made.model) == (4, version)
    predict_batch(BatchOptions(model, f"{tmp_path}/out", dataset=data))
    assert read(f"{store}/out/results.json") == (tmp_path / "out/results.json").read_bytes()
    assert not [name for name in list_files(f"{store}/out") if name.startswith(".predict-batch")]
