"""The model that predicts."""

import pytest

from tests.maskx_model.inference.small_predictions import NAMES
from tests.maskx_model.synthetic_dataset import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained model of two classes, with a mask branch."""
    return write_model(tmp_path_factory.mktemp("models") / "transfer", NAMES, "transfer", seed=3)
