"""The Kubernetes objects that `kubectl kustomize` makes of infra/kubernetes."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.cluster import INSTALLED

KUBERNETES = Path(__file__).parents[2] / "infra" / "kubernetes"
CLUSTERS = ("overlays/dev", "overlays/gpu", "overlays/spot")
SERVING = ("serving", "overlays/gpu/serving", "overlays/spot/serving")

KUBECTL = shutil.which("kubectl") or shutil.which("kubectl", path=INSTALLED / "bin")
"""The one on PATH, or else that of `infra/cluster/install.sh`; None where there is none."""

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="needs kubectl, on PATH or by infra/cluster/install.sh")


@cache
def rendered(folder: str) -> list[dict[str, Any]]:
    """The objects of a folder, in the order in which they are applied."""
    return list(yaml.safe_load_all(kustomize(KUBERNETES / folder)))


def kustomize(folder: Path) -> str:
    """What `kubectl kustomize` makes of a folder; fails where it has anything to say."""
    assert KUBECTL is not None
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


def the(folder: str, kind: str, name: str) -> dict[str, Any]:
    """The one object of that kind and name."""
    (found,) = [each for each in rendered(folder) if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(folder: str) -> dict[str, dict[str, Any]]:
    """Name of a Deployment or StatefulSet → the spec of its pods."""
    kinds = ("Deployment", "StatefulSet")
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in rendered(folder) if each["kind"] in kinds
    }
