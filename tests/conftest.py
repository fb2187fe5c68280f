"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Examples may come slowly on a busy machine; that says nothing of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def real_sample() -> Path:
    """A folder with `coco/` and `visual_genome/` in their original layouts."""
    folder = os.environ.get("MASKX_REAL_SAMPLE")
    if not folder:
        pytest.skip("MASKX_REAL_SAMPLE is not set: no real photographs to test on")
    return Path(folder)
