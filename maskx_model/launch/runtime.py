"""The runtime of a TrainJob: the cluster's own for torch, with all that this step's pod has.

A runtime of the run's own takes over what a TrainJob cannot say by itself, secrets and the priority among it, and its
form is the same in all releases of Kubeflow Trainer.
"""

import copy
from typing import Any

from maskx_model.launch.machines import Machines

BASE = "torch-distributed"
"""The runtime that comes with Kubeflow Trainer."""
FRAMEWORK = "trainer.kubeflow.org/framework"
"""The label by which the SDK knows what a runtime is for."""
LABEL = "maskx/train-job"
"""A label of the pods, by which the network policy knows them."""
NODE = "node"
"""Kubeflow Trainer's name for the jobs, and for the container, in which ranks run."""
STEP = "main"
"""Argo's name for the container of a step."""
API_TOKEN = "kube-api-access-"
"""How the name of the volume begins that Kubernetes adds to each pod for its API, which the ranks do not call."""
REFUSED = 2
"""What a rank's pod exits with where the training is refused; its Job then ends, and does not try again."""
TAKEN_OVER = (
    "serviceAccountName",
    "imagePullSecrets",
    "priorityClassName",
    "securityContext",
    "terminationGracePeriodSeconds",
)
"""What a rank's pod has as the step's pod has it."""


def runtime_for(name: str, base: dict[str, Any], pod: dict[str, Any], machines: Machines) -> dict[str, Any]:
    """The TrainingRuntime of this name.

    `base`: the cluster's runtime for torch. `pod`: this step's; both as the API has them. Image, environment, volumes,
    secrets, user, account and priority are the step's; resources, node selector and tolerations those of `machines`.
    """
    step = the(STEP, pod["spec"]["containers"])
    spec = copy.deepcopy(base["spec"])
    spec["mlPolicy"]["torch"] = {"numProcPerNode": machines.ranks_of_a_node}
    job = the(NODE, spec["template"]["spec"]["replicatedJobs"])["template"]["spec"]
    refused = {"containerName": NODE, "operator": "In", "values": [REFUSED]}
    taken_away = {"type": "DisruptionTarget", "status": "True"}
    job["podFailurePolicy"] = {
        "rules": [
            {"action": "FailJob", "onExitCodes": refused},
            {"action": "Ignore", "onPodConditions": [taken_away]},  # does not count as one of the Job's tries
        ]
    }
    template = job["template"]
    template["metadata"] = {"labels": {LABEL: name}}
    volumes = [each for each in pod["spec"].get("volumes", []) if not each["name"].startswith(API_TOKEN)]
    named = {each["name"] for each in volumes}
    template["spec"] |= {field: pod["spec"][field] for field in TAKEN_OVER if field in pod["spec"]}
    template["spec"] |= {
        "automountServiceAccountToken": False,
        "nodeSelector": dict(machines.node_selector),
        "tolerations": [dict(each) for each in machines.tolerations],
        "restartPolicy": "Never",  # a pod that has failed stays, and with it its log
        "volumes": volumes,
    }
    container = the(NODE, template["spec"]["containers"])
    container |= {
        "image": step["image"],
        "env": [each for each in step.get("env", []) if not each["name"].startswith("ARGO_")],
        "volumeMounts": [each for each in step.get("volumeMounts", []) if each["name"] in named],
        "resources": _resources(machines),
    }
    if "securityContext" in step:
        container["securityContext"] = step["securityContext"]
    metadata = {"name": name, "labels": {FRAMEWORK: "torch"}}
    return {"apiVersion": base["apiVersion"], "kind": "TrainingRuntime", "metadata": metadata, "spec": spec}


def _resources(machines: Machines) -> dict[str, Any]:
    """As the pipeline's steps have them (`pipelines/pods.py`): CPUs may be exceeded, memory may not.

    Without accelerators of NVIDIA's, CPUs have a limit too: the SDK refuses pods whose limits name no device that it
    knows.
    """
    accelerators = {machines.kind: machines.count} if int(machines.count) else {}
    cpus = {} if any(kind.startswith("nvidia.com/") for kind in accelerators) else {"cpu": machines.cpu}
    limits = {"memory": machines.memory, **accelerators, **cpus}
    return {"requests": {"cpu": machines.cpu, **limits}, "limits": limits}


def the(name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The item of this name, of which there is one."""
    (found,) = (each for each in items if each["name"] == name)
    return found
