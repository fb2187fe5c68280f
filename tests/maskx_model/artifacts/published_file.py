"""A file of a test in the place of one that torchvision has published."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_prep.storage.storage import sha256


@contextmanager
def published(file: Path) -> Iterator[None]:
    """Until the block ends, the file counts as published, which its SHA-256 tells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maskx_model.artifacts.torchvision_detector.WITHOUT_EPS", (sha256(file)[:8],))
        yield
