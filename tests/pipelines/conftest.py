"""The product pipeline as it is compiled."""

from typing import Any

import pytest
import yaml

from tests.pipelines.product_pipeline import BESIDE


@pytest.fixture(scope="session")
def documents() -> list[dict[str, Any]]:
    """The YAML's two: the pipeline and its Kubernetes settings."""
    return list(yaml.safe_load_all(BESIDE.read_text(encoding="utf-8")))
