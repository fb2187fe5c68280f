"""Pods as tests make them: what the namespaces' rules let in, and the step of a pipeline that trains."""

import json
from pathlib import Path
from typing import Any

from components.image import IMAGE
from tests.components.small_training import arguments

LOCKED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, namespace: str, command: list[str], gpus: int = 0, **spec: Any) -> dict[str, Any]:
    """A pod with as few rights as those of infra/kubernetes."""
    container: dict[str, Any] = {"name": "main", "image": IMAGE, "command": command, "securityContext": LOCKED}
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
    meta = {"name": name, "namespace": namespace}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def training_step(
    name: str, folder: Path, steps: int, dataset: str = "/data/dataset", **changes: Any
) -> dict[str, Any]:
    """The step that trains a tiny detector on two nodes into /data/NAME, under the account of the pipeline's steps.

    `folder` is what it sees at /data; a dataset lies there. `changes` are other arguments of the component.
    """
    pool: dict[str, Any] = {"nodes": "2", "node_memory": "2Gi", "node_selector": {"maskx/pool": "cpu"}}
    asked = arguments(folder, dataset, name, steps, **pool, **changes)
    asked |= {"out": f"/data/{name}", "config": "/data/config.yaml"}
    step = pod(name, "kubeflow", ["python", "-m", "tests.components.small_training", json.dumps(asked)])
    step["spec"] |= {
        "serviceAccountName": "maskx-step",
        "terminationGracePeriodSeconds": 60,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "maskx"}}],
    }
    (container,) = step["spec"]["containers"]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    container["env"] = [{"name": "KFP_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    return step
