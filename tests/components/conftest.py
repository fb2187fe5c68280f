"""The tiny toy world of the model's tests."""

from tests.maskx_model.conftest import toy_dataset, toy_folder

__all__ = ["toy_dataset", "toy_folder"]
