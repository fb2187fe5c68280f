"""One cluster for all tests of this folder: a control plane, Kubeflow Trainer, and nodes of three pools."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.image import IMAGE
from tests.cluster.cluster import INSTALLED, Cluster, as_list
from tests.cluster.control_plane import control_plane
from tests.cluster.kubeflow import install_jobset, install_trainer
from tests.cluster.nodes import nodes
from tests.infra.rendered import KUBERNETES
from tests.maskx_model.conftest import toy_dataset, toy_folder  # noqa: F401

REPOSITORY = Path(__file__).parents[2]
PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GPU = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
SPOT = {"key": "maskx/spot", "value": "true", "effect": "NoSchedule"}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with Kubeflow Pipelines' namespace, two CPU nodes, one on-demand and two spot nodes of one GPU."""
    if not (INSTALLED / "bin" / "kube-apiserver").exists():
        pytest.skip("no control plane in .services/cluster; infra/cluster/install.sh builds it with Go")
    if os.geteuid() != 0:
        pytest.skip("pods are processes in namespaces of their own, which needs root")
    # What the image brings: this Python, and maskx as it stands here.
    image = {"PATH": PATH, "PYTHONPATH": str(REPOSITORY), "HOME": "/tmp", "OMP_NUM_THREADS": "1"}
    folder = tmp_path_factory.mktemp("cluster")
    with control_plane(folder) as made, nodes(made, {IMAGE: image}) as pools:
        made.kubectl("apply", "--server-side", "--kustomize", INSTALLED / "argo")
        install_jobset(made)
        install_trainer(made)
        for name in ("cpu-0", "cpu-1"):
            pools.add(name, {"maskx/pool": "cpu"}, [], gpus=0)
        pools.add("gpu-0", {"maskx/pool": "gpu"}, [GPU], gpus=1)
        for name in ("spot-0", "spot-1"):
            pools.add(name, {"maskx/pool": "gpu-spot"}, [GPU, SPOT], gpus=1)
        made.kubectl("create", "namespace", "kubeflow")
        yield made


def volume(folder: Path) -> dict[str, object]:
    """A volume that is a folder of this machine, which all may write to."""
    folder.chmod(0o777)
    spec = {
        "capacity": {"storage": "100Gi"},
        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
        "hostPath": {"path": str(folder)},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": folder.name}, "spec": spec}


@pytest.fixture(scope="session")
def overlay(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """An overlay of infra/kubernetes as the guide applies it, with volumes for its claims; deleted whole.

    All tests that name the same one (`on_overlay`) share it.
    """
    folder = KUBERNETES / "overlays" / request.param
    volumes = [volume(tmp_path_factory.mktemp("volume")) for _ in range(3)]
    cluster.create(*volumes)
    cluster.kubectl("apply", "--kustomize", folder)
    yield request.param
    cluster.kubectl("delete", "pods", "--all", "--namespace=kubeflow")  # a claim stays as long as a pod names it
    cluster.kubectl("delete", "--kustomize", folder)
    assert cluster.kubectl("get", "--kustomize", folder, "--ignore-not-found").stdout == ""
    cluster.kubectl("delete", "--filename=-", given=as_list(volumes))
