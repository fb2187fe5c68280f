"""The product pipeline, whole, at toy size on this machine; `make demo` runs it at the size that learns something."""

from pathlib import Path

import pytest

from maskx_model.evaluation.estimate_file import read_estimate
from maskx_model.registry.mlflow_run import connected
from pipelines.local import run_locally

SMALL = [
    "data.toy_images=40",
    "data.toy_val_images=10",
    "data.classes=none",
    "data.max_rejected=0.5",
    "detector.score_threshold=0",
    "crops.steps=4",
    "stage1.steps=4",
    "stage2.steps=2",
]


@pytest.mark.slow  # it prepares data, trains a detector and ten heads, and starts MLflow
def test_the_estimate_for_b_reaches_the_registered_version(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    asked = {"root": str(tmp_path), "tracking_uri": uri, "preset": "toy", "overrides": SMALL, "accelerator_count": "0"}
    assert run_locally(asked, tmp_path) == "models:/maskx/1"
    assert len(read_estimate(f"{tmp_path}/estimate").folds) == 4
    with connected(uri) as client:
        assert "Estimate of mask AP on B" in client.get_model_version("maskx", "1").description
