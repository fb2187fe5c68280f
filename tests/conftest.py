"""Fixtures that every room's tests share."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from data_prep.log import LIBRARIES

# Examples may come slowly on a busy machine; that says nothing of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def scratch_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a run keeps for the next one is not the user's, nor an earlier run's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASKX_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        yield


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scratch folder of the test's own."""
    monkeypatch.setenv("MASKX_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture(autouse=True)
def log_of_a_library() -> Iterator[None]:
    """`caplog` gets what is logged from INFO on, also after a test of a command, which shows the log by itself."""
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    for logger in loggers:
        logger.setLevel(logging.INFO)
    yield
    for logger in loggers:
        logger.handlers.clear()
        logger.propagate = True


@pytest.fixture(scope="session")
def real_sample() -> Path:
    """A folder with `coco/` and `visual_genome/` in their original layouts."""
    folder = os.environ.get("MASKX_REAL_SAMPLE")
    if not folder:
        pytest.skip("MASKX_REAL_SAMPLE is not set: no real images to test on")
    return Path(folder)
