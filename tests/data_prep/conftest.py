"""A small toy world in the original layouts, and the dataset made of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.format.manifest import Manifest
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.toy_world import write_toy_world

Prepare = Callable[..., Manifest]


@pytest.fixture(scope="session")
def toy_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 training and 20 validation images, with every trouble that the toy world has."""
    out = tmp_path_factory.mktemp("toy") / "original"
    write_toy_world(out, images=40, val_images=20)
    return out


@pytest.fixture(scope="session")
def prepare_toy(toy_original: Path) -> Prepare:
    """Prepares the toy world into a folder, with the options given."""

    def run(out: Path, **options: Any) -> Manifest:
        sources = (f"coco=coco:{toy_original}/coco", f"vg=vg:{toy_original}/visual_genome")
        return prepare(PrepareOptions(sources=sources, out=str(out), **{"max_rejected": 0.1, **options}))

    return run


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory: pytest.TempPathFactory, prepare_toy: Prepare) -> Path:
    """The toy world's dataset, with all synsets."""
    out = tmp_path_factory.mktemp("toy_dataset") / "dataset"
    prepare_toy(out)
    return out
