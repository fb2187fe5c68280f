"""A detector of the toy world that several files train on from."""

import pytest

from data_prep.format.reader import Dataset
from maskx_model.training.stages import train_detector
from tests.maskx_model.tiny_presets import tiny
from tests.maskx_model.training.same_model import STEPS


@pytest.fixture(scope="session")
def detector(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A stage 1 that was never interrupted."""
    out = tmp_path_factory.mktemp("stages") / "detector"
    train_detector(toy_dataset.uri, str(out), tiny(STEPS, checkpoint_every=100))
    return str(out)
