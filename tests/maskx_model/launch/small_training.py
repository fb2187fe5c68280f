"""The training that a step asks several nodes for, and the TrainJob that an earlier try has left of it."""

import sys
from typing import Any

from maskx_model.launch.machines import Machines
from maskx_model.launch.runtime import FRAMEWORK
from maskx_model.launch.train_job import job_name
from maskx_model.launch.training import StageTraining
from tests.maskx_model.launch.small_cluster import BASE, IMAGE, JOBS, RUNTIMES, SmallCluster

TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
MACHINES = Machines("2", "nvidia.com/gpu", "4", {"pool": "gpu"}, (TAINT,), "8", "64Gi")


def made_before(cluster: SmallCluster, training: StageTraining, *conditions: dict[str, str], **changes: Any) -> None:
    """The TrainJob of an earlier try of the step; `changes`: of its trainer."""
    name, command = job_name(training), [sys.executable, "-m", "maskx_model.launch.ranks", training.to_json()]
    metadata = {"name": name, "namespace": "default", "creationTimestamp": "2026-11-28T17:00:00Z"}
    runtime = {**BASE, "kind": "TrainingRuntime", "metadata": {"name": name, "labels": {FRAMEWORK: "torch"}}}
    trainer = {"numNodes": 2, "image": IMAGE, "command": command, **changes}
    spec = {"runtimeRef": {"kind": "TrainingRuntime", "name": name}, "trainer": trainer}
    cluster.objects[f"{RUNTIMES}/{name}"] = runtime
    cluster.objects[f"{JOBS}/{name}"] = {"metadata": metadata, "spec": spec, "status": {"conditions": [*conditions]}}
