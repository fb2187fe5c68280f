"""What the namespaces of infra/kubernetes refuse, and where pods are placed that ask for GPUs."""

from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import GPU
from tests.cluster.steps import LOCKED, pod

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("overlay"),
    pytest.mark.parametrize("overlay", ["gpu"], indirect=True),
]


def on_gpus(name: str, gpus: int = 1, **spec: Any) -> dict[str, Any]:
    """A step with GPUs of the on-demand pool."""
    return pod(name, "kubeflow", ["sleep", "600"], gpus, nodeSelector={"maskx/pool": "gpu"}, **spec)


def why_pending(cluster: Cluster, name: str) -> str:
    """The scheduler's reason for leaving a pod in the queue; empty before it has said one."""
    conditions = cluster.get("pod", name, "--namespace=kubeflow")["status"].get("conditions", [])
    return next((each["message"] for each in conditions if each.get("reason") == "Unschedulable"), "")


def node_of(cluster: Cluster, name: str) -> str:
    return str(cluster.get("pod", name, "--namespace=kubeflow")["spec"].get("nodeName", ""))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation != false"),
        ({"runAsUser": 0}, "runAsUser=0"),
        ({"runAsNonRoot": False}, "runAsNonRoot != true"),
        ({"capabilities": {}}, "unrestricted capabilities"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_a_pod_with_more_rights_is_refused(cluster: Cluster, change: dict[str, Any], said: str) -> None:
    wrong = pod("wrong", "maskx", ["true"])
    wrong["spec"]["containers"][0]["securityContext"] = LOCKED | change
    refused = cluster.create(wrong, check=False)
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr
    assert said in refused.stderr


def test_a_pod_without_limits_gets_them_and_the_quota_counts_it(cluster: Cluster) -> None:
    cluster.create(pod("plain", "maskx", ["true"], priorityClassName="maskx-service"))
    made = cluster.get("pod", "plain", "--namespace=maskx")
    assert made["spec"]["priority"] == 100_000
    resources = made["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "256Mi"}}
    much = pod("much", "maskx", ["true"])
    much["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "17"}}
    assert "exceeded quota: platform, requested: requests.cpu=17" in cluster.create(much, check=False).stderr


def test_a_pod_gets_a_gpu_only_with_the_toleration_and_the_second_waits(cluster: Cluster) -> None:
    tolerations = [{"key": GPU["key"], "operator": "Exists", "effect": GPU["effect"]}]
    cluster.create(on_gpus("intolerant"))
    said = cluster.wait_for("the scheduler's reason", lambda: why_pending(cluster, "intolerant"))
    assert "untolerated taint" in said
    cluster.create(on_gpus("first", tolerations=tolerations))
    assert cluster.wait_for("a node", lambda: node_of(cluster, "first")) == "gpu-0"
    cluster.create(on_gpus("second", tolerations=tolerations))
    said = cluster.wait_for("the scheduler's reason", lambda: why_pending(cluster, "second"))
    assert "1 Insufficient nvidia.com/gpu" in said
    cluster.kubectl("delete", "pod", "first", "--namespace=kubeflow")
    assert cluster.wait_for("a node", lambda: node_of(cluster, "second")) == "gpu-0"
    cluster.kubectl("delete", "pod", "second", "intolerant", "--namespace=kubeflow")
