"""The whole project in object storage: dataset, stages, checkpoints, evaluation; a run that was killed goes on."""

import logging
import sys
from pathlib import Path

import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import list_files, read, write
from data_prep.toy_world import write_toy_world
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import MaskKind
from maskx_model.inference.predict_files import predict_files
from maskx_model.registry.mlflow_run import connected
from maskx_model.registry.registry import fetched_model, register
from maskx_model.report.evaluate import evaluate
from maskx_model.training.stages import train_detector, train_masks
from tests.data_prep.small_sources import jpeg
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.maskx_model.tiny_presets import tiny
from tests.processes import kill_when
from tests.services.object_storage import upload

pytestmark = pytest.mark.services

STEPS = 12
NAMES = ["cup", "chair"]


def prepared(original: Path, out: str) -> str:
    sources = (f"coco=coco:{original}/coco", f"vg=vg:{original}/visual_genome")
    prepare(PrepareOptions(sources=sources, out=out, max_rejected=0.2))
    return out


def killed_after_a_checkpoint(dataset: str, out: str) -> None:
    """Train the detector in a process of its own, and kill it when its first checkpoint is up."""
    command = [sys.executable, "-m", "tests.maskx_model.tiny_presets", "detector", dataset, "", out, str(STEPS)]
    kill_when(command, lambda: any("state.json" in path for path in list_files(out)))


def test_all_stages_run_in_object_storage_to_the_weights_that_disk_gives(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_toy_world(tmp_path / "original", images=40, val_images=5)
    results = {}
    for place in (str(tmp_path), store):
        dataset = prepared(tmp_path / "original", f"{place}/dataset")
        if place == store:
            killed_after_a_checkpoint(dataset, f"{place}/detector")
        train_detector(dataset, f"{place}/detector", tiny(STEPS))
        assert ("resumes after step" in caplog.text) == (place == store)
        train_masks(dataset, f"{place}/detector", f"{place}/model", tiny(STEPS))
        results[place] = load_tensors(f"{place}/model/model.safetensors")
        data = Dataset.open(dataset)
        shown = [data.read_both(row)[1].key for row in data.select("val", "coco")]
        assert len(shown) == 5
    assert all(torch.equal(value, results[str(tmp_path)][name]) for name, value in results[store].items())


def test_models_and_evaluations_in_object_storage_are_those_of_the_disk(store: str, tmp_path: Path) -> None:
    world = tmp_path / "world"
    write_dataset(world / "data", random_world(0, 4, NAMES)[0], NAMES)
    kinds: dict[str, MaskKind | None] = {"detector": None, "one": "transfer", "two": "class_agnostic"}
    for name, kind in kinds.items():
        write_model(world / name, NAMES, kind)
    upload(world, store)
    for place in (str(world), store):
        evaluate(f"{place}/one", f"{place}/data", f"{place}/evaluation", f"{place}/two", stages=[f"{place}/detector"])
    written = list_files(f"{store}/evaluation")
    assert written == list_files(world / "evaluation")
    different = [p for p in written if read(f"{store}/evaluation/{p}") != (world / "evaluation" / p).read_bytes()]
    assert different == []
    with pytest.raises(ConfigError, match=r"holds config.json, which is no part of an evaluation"):
        evaluate(f"{store}/one", f"{store}/data", f"{store}/two")

    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    version = register(f"{store}/one", f"{store}/evaluation", "remote", tracking, dataset=f"{store}/data")
    with connected(tracking) as client:
        run = client.get_run(client.get_model_version("remote", "1").run_id)
    assert run.info.run_name == f"{store.rpartition('/')[2]}/one"
    assert f"{store}/data" in run.inputs.dataset_inputs[0].dataset.source
    with fetched_model(version, tracking) as folder:
        assert model_hash(folder) == model_hash(f"{store}/one")

    for name in ("a.jpg", "deep/b.jpg", "deep/notes.txt"):
        write(f"{store}/photos/{name}", b"no image" if name.endswith("txt") else jpeg())
    assert predict_files(f"{store}/one", [f"{store}/photos"], f"{store}/predicted") == 2
    predicted = ["a.png", "deep/b.png", "images.json", "results.json"]
    assert list_files(f"{store}/predicted") == predicted
    assert predict_files(f"{store}/one", [f"{store}/photos/a.jpg"], f"{tmp_path}/predicted") == 1
