"""The loader from object storage: the same batches as from disk, in a few requests; and credentials that expire."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.reader import SampleReader
from maskx_model.data.training_order import BLOCK
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.services.object_storage import FlakyWay, upload

pytestmark = pytest.mark.services

IMAGES, BATCH = 320, 8
CPU = torch.device("cpu")


def uploaded(folder: Path, uri: str) -> tuple[Dataset, Dataset]:
    """One dataset on disk and in object storage."""
    records, _ = random_world(0, IMAGES, ["cup", "chair"])
    write_dataset(folder / "data", records, ["cup", "chair"], split="train")
    upload(folder / "data", f"{uri}/data")
    return Dataset.open(f"{folder}/data"), Dataset.open(f"{uri}/data")


def batches(data: Dataset) -> TrainingBatches:
    return TrainingBatches(SampleReader(data, "coco"), data.select("train", "coco"), BATCH, seed=1, flip=True)


def test_batches_are_those_of_the_disk_whatever_the_network_does(store: str, flaky: FlakyWay, tmp_path: Path) -> None:
    here, there = uploaded(tmp_path, store)
    samples = batches(there)
    before = flaky.requests
    steps = range(IMAGES // BATCH)
    for one, other in zip(load_batches(batches(here), steps, CPU), load_batches(samples, steps, CPU), strict=True):
        assert [sample.key for sample in one] == [sample.key for sample in other]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(one, other, strict=True))
    assert flaky.requests - before < 2 * IMAGES / BLOCK  # a block each, and some again


def test_credentials_that_expire_half_way_stop_the_training(store: str, flaky: FlakyWay, tmp_path: Path) -> None:
    _, there = uploaded(tmp_path, store)
    coming = load_batches(batches(there), range(200), CPU)
    assert len(next(coming)) == BATCH
    flaky.accepted = 0
    with pytest.raises(ConfigError, match=r"coco-000000.tar: the credentials have expired \(ExpiredToken\); get new"):
        list(coming)
