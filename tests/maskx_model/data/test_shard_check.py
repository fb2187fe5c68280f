"""A dataset whose manifest, index and shards do not belong together is refused before a training begins."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from maskx_model.data.training_images import training_images
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset

SHARD = "train/coco-000000.tar"


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    records, _ = random_world(0, 6, ["cup"])
    return Dataset.open(write_dataset(tmp_path / "data", records, ["cup"], split="train"))


def shard(data: Dataset) -> Path:
    return Path(data.uri) / SHARD


def resized(data: Dataset, change: int) -> Dataset:
    """The dataset after its shard and manifest have changed alike."""
    with shard(data).open("r+b") as file:
        file.truncate(shard(data).stat().st_size + change)
    (told,) = data.manifest.shards
    shards = (structs.replace(told, bytes=told.bytes + change),)
    return Dataset(data.uri, structs.replace(data.manifest, shards=shards))


def longer(data: Dataset) -> Dataset:
    shard(data).open("ab").write(b"more")
    return data


def missing(data: Dataset) -> Dataset:
    shard(data).unlink()
    return data


CHANGES = [
    (longer, r"has \d+ bytes, manifest.json says \d+"),
    (missing, "missing, though manifest.json names it"),
    (lambda data: Dataset(data.uri, structs.replace(data.manifest, shards=())), "manifest.json does not name it"),
    (lambda data: resized(data, -20_000), r"ends at byte \d+, but the index has an image up to byte \d+"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=["longer", "missing", "unknown", "too short"])
def test_it_names_the_shard_and_what_is_wrong(
    data: Dataset, change: Callable[[Dataset], Dataset], message: str
) -> None:
    assert len(training_images(data, "coco")) == 6
    with pytest.raises(DataError, match=rf"{SHARD}: .*{message}; manifest, index and shards do not belong together"):
        training_images(change(data), "coco")
