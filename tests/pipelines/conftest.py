"""The product pipeline as it is compiled; what a run of it in this process leaves behind."""

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from tests.pipelines.product_pipeline import BESIDE


@pytest.fixture(scope="session")
def documents() -> list[dict[str, Any]]:
    """The YAML's two: the pipeline and its Kubernetes settings."""
    return list(yaml.safe_load_all(BESIDE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module", autouse=True)
def variables_of_the_steps() -> Iterator[None]:
    """A run sets variables that its steps inherit: the next module's tests begin without them."""
    with patch.dict(os.environ):
        yield
