"""The guide's block that puts the cloud's names into the manifests."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.infra.rendered import KUBERNETES, kustomize, needs_kubectl
from tests.readme import block

NAMES = {
    "account": "123456789012",
    "region": "eu-central-1",
    "bucket": "our-bucket",
    "file_system": "fs-0123456789abcdef0",
    "registry": "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
}
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The overlays as the guide leaves them, with a `terraform` that says NAMES."""
    shutil.copytree(KUBERNETES, tmp_path / "infra" / "kubernetes")
    terraform = tmp_path / "bin" / "terraform"
    terraform.parent.mkdir()
    cases = "\n".join(f"{name}) printf %s {value} ;;" for name, value in NAMES.items())
    terraform.write_text(f'#!/bin/sh\ncase "$4" in\n{cases}\n*) exit 1 ;;\nesac\n')
    terraform.chmod(0o755)
    environment = os.environ | {"PATH": f"{terraform.parent}:{os.environ['PATH']}"}
    environment |= {"TRACKING_DIGEST": DIGEST, "SERVE_DIGEST": DIGEST}
    script = "\n".join(["set -e", *block("names of the cloud")])
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True)
    return tmp_path / "infra" / "kubernetes" / "overlays"


@needs_kubectl
@pytest.mark.parametrize("folder", ["gpu", "spot", "gpu/serving", "spot/serving"])
def test_no_name_is_left_open(folder: str, filled: Path) -> None:
    made = kustomize(filled / folder)
    assert not re.findall(r"\b(ACCOUNT|BUCKET|REGION|REGISTRY|FILESYSTEM|DIGEST)\b", made.replace("AWS_REGION", ""))
    assert f"@{DIGEST}" in made


@pytest.mark.parametrize("folder", ["gpu", "spot"])
def test_the_runs_root_is_in_the_bucket(folder: str, filled: Path) -> None:
    assert yaml.safe_load((filled / folder / "run.yaml").read_text())["root"] == "s3://our-bucket/runs/first"
