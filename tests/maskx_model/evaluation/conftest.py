"""A dataset of random images, and models to evaluate on it."""

from pathlib import Path

import pytest

from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

NAMES = ["cup", "<script>alert(1)</script>", "Tür & Tor"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data` with 16 images, and models `transfer`, `class_agnostic` and `detector` with equal detectors."""
    folder = tmp_path_factory.mktemp("world")
    records, _ = random_world(0, 16, NAMES)
    write_dataset(folder / "data", records, NAMES)
    write_model(folder / "transfer", NAMES, "transfer")
    write_model(folder / "class_agnostic", NAMES, "class_agnostic")
    write_model(folder / "detector", NAMES, None)
    return folder
