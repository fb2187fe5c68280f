"""A request that has nothing wrong, and a source for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from maskx_model.preflight.request import Request
from tests.maskx_model.preflight.requested import READS_COCO, Requested


@pytest.fixture
def requested(tmp_path: Path) -> Requested:
    """A request that has nothing wrong, with changes."""

    def make(**changes: object) -> Request:
        good = Request(f"{tmp_path}/root", f"sqlite:///{tmp_path}/mlflow.db", preset="toy", overrides=READS_COCO)
        return replace(good, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def coco(tmp_path: Path) -> str:
    """A source of two images and an annotation file."""
    folder = tmp_path / "coco"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations.json").write_bytes(b"{}")
    for number in (1, 2):
        (folder / "images" / f"{number}.jpg").write_bytes(b"x" * 1000)
    return f"coco=coco:{folder}/annotations.json,{folder}/images"
