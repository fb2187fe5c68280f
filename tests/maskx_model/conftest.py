"""A tiny toy world, prepared for real, once for all workers; a client of MLflow."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_prep.format.reader import Dataset

IMAGES, VAL_IMAGES = 40, 8


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`original/`, what `maskx data toy` writes, and `dataset/`, what `maskx data prepare` makes of it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "maskx_model_toy_world"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "dataset" / "manifest.json").exists():
            _make(folder)
    return folder


@pytest.fixture(scope="session")
def toy_dataset(toy_folder: Path) -> Dataset:
    """The tiny toy world as a dataset: 40 images to train on, 8 to validate, sources `coco` and `vg`."""
    return Dataset.open(str(toy_folder / "dataset"))


@pytest.fixture
def client(uri: str) -> Iterator[Any]:
    """MLflow's client of the store that a module's or a package's fixture `uri` names."""
    from maskx_model.registry.mlflow_run import connected

    with connected(uri) as connected_client:
        yield connected_client


def _make(folder: Path) -> None:
    from data_prep.prepare.options import PrepareOptions
    from data_prep.prepare.prepare import prepare
    from data_prep.toy_world import write_toy_world

    if not (folder / "original").exists():
        write_toy_world(folder / "original", images=IMAGES, val_images=VAL_IMAGES)
    sources = (f"coco=coco:{folder}/original/coco", f"vg=vg:{folder}/original/visual_genome")
    # So few images that the world's one broken file is more than the usual ceiling.
    prepare(PrepareOptions(sources=sources, out=str(folder / "dataset"), max_rejected=0.5))
