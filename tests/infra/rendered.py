"""The Kubernetes objects that `kubectl kustomize` makes of infra/kubernetes."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES = Path(__file__).parents[2] / "infra" / "kubernetes"
CLUSTERS = ("overlays/dev", "overlays/gpu", "overlays/spot")
SERVING = ("serving", "overlays/gpu/serving", "overlays/spot/serving")

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")


@cache
def rendered(folder: str) -> list[dict[str, Any]]:
    """The objects of a folder, in the order in which they are applied."""
    command = ["kubectl", "kustomize", str(KUBERNETES / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))


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
