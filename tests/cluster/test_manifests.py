"""The manifests of infra/, applied to a real API server as the guide says."""

from functools import partial

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.cluster.steps import pod
from tests.infra.rendered import KUBERNETES, pods

pytestmark = pytest.mark.cluster
ARGO = KUBERNETES.parent / "argo"
MASKX = "--namespace=maskx"


OVERLAYS = pytest.mark.parametrize("overlay", ["dev", "gpu", "spot"], indirect=True)


@OVERLAYS
def test_the_api_server_has_an_overlay_as_it_is_written(cluster: Cluster, overlay: str) -> None:
    assert cluster.kubectl("diff", "--kustomize", KUBERNETES / "overlays" / overlay).stdout == ""


@OVERLAYS
def test_every_service_has_its_pods(cluster: Cluster, overlay: str) -> None:
    for name in pods(f"overlays/{overlay}"):
        cluster.wait_for(f"a pod of {name}", partial(cluster.get, "pods", MASKX, f"--selector=app={name}"))


@pytest.mark.parametrize("overlay", ["gpu", "spot"], indirect=True)
def test_serving_is_placed_on_the_nodes_of_its_pool(cluster: Cluster, overlay: str) -> None:
    folder = KUBERNETES / "overlays" / overlay / "serving"
    cluster.kubectl("apply", "--kustomize", folder)
    nodes = cluster.wait_for("a node for each copy", lambda: placed(cluster, "app=serving"))
    assert nodes == {"gpu": ["gpu-0"], "spot": ["spot-0", "spot-1"]}[overlay]
    cluster.kubectl("delete", "--kustomize", folder)


@OVERLAYS
def test_more_gpus_than_the_quota_are_refused(cluster: Cluster, overlay: str) -> None:
    gpus = {"dev": 0, "gpu": 8, "spot": 16}[overlay] + 1
    refused = cluster.create(pod("greedy", "kubeflow", ["true"], gpus), check=False)
    assert f"exceeded quota: maskx-gpus, requested: requests.nvidia.com/gpu={gpus}" in refused.stderr


def test_the_patch_of_argo_replaces_the_defaults_of_its_workflows(cluster: Cluster) -> None:
    controller = ["workflow-controller-configmap", "--namespace=kubeflow"]
    policy = "retryStrategy: {limit: 2, retryPolicy: OnError}"
    cluster.kubectl("create", "configmap", *controller, f"--from-literal=workflowDefaults={policy}")
    cluster.kubectl("patch", "configmap", *controller, "--patch-file", ARGO / "retry-policy.yaml")
    defaults = yaml.safe_load(cluster.get("configmap", *controller)["data"]["workflowDefaults"])
    assert defaults["spec"]["templateDefaults"]["retryStrategy"] == {"limit": "2", "retryPolicy": "Always"}


def placed(cluster: Cluster, label: str) -> list[str]:
    """The nodes of the pods with a label, once all have one."""
    nodes = [pod["spec"].get("nodeName", "") for pod in cluster.get("pods", MASKX, f"--selector={label}")]
    return sorted(nodes) if all(nodes) else []
