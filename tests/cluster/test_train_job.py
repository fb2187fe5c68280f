"""Trainings on several nodes by Kubeflow Trainer: pods, torchrun and checkpoints for real."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from components.image import IMAGE
from data_prep.format.reader import Dataset
from tests.cluster.cluster import Cluster
from tests.maskx_model.killing import newest_step

pytestmark = pytest.mark.cluster
STEPS = 60
SECONDS = 300


@pytest.fixture(scope="module")
def data(cluster: Cluster, overlay: str, toy_dataset: Dataset) -> Path:
    """The folder of the volume that steps see at /data; it has a dataset."""
    claim = ["pvc", "maskx", "--namespace=kubeflow"]
    name = cluster.wait_for("a volume for the claim", lambda: cluster.get(*claim)["spec"].get("volumeName"))
    folder = Path(cluster.get("pv", name)["spec"]["hostPath"]["path"])
    shutil.copytree(toy_dataset.uri, folder / "dataset")
    return folder


def train_job(name: str, processes: int | str = 1, nodes: int = 2) -> dict[str, Any]:
    """Stage 1 at toy size, as the guide's command, on nodes that share the volume."""
    command = ["torchrun", "--no-python", "maskx", "train", "detector", "--preset=toy", "--dataset=/data/dataset"]
    command += [f"--out=/data/{name}", f"--steps={STEPS}", "--images-per-batch=4", "--set=stage1.checkpoint_every=5"]
    trainer = {"image": IMAGE, "command": command, "numNodes": nodes, "numProcPerNode": processes}
    volumes = {
        "targetJobs": [{"name": "node"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "maskx"}}],
        "containers": [{"name": "node", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
    }
    spec = {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer, "podSpecOverrides": [volumes]}
    meta = {"name": name, "namespace": "kubeflow"}
    return {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": meta, "spec": spec}


def outcome(cluster: Cluster, name: str) -> str:
    """How a TrainJob has ended, Complete or Failed; empty while it runs."""
    conditions = cluster.get("trainjob", name, "--namespace=kubeflow").get("status", {}).get("conditions", [])
    ends = [each["type"] for each in conditions if each["type"] in ("Complete", "Failed") and each["status"] == "True"]
    return ends[0] if ends else ""


def names_of_pods(cluster: Cluster, job: str) -> list[str]:
    """The pods of a TrainJob, by node."""
    selector = f"--selector=jobset.sigs.k8s.io/jobset-name={job}"
    return sorted(pod["metadata"]["name"] for pod in cluster.get("pods", "--namespace=kubeflow", selector))


def test_a_training_whose_pod_is_lost_ends_in_the_same_weights(cluster: Cluster, data: Path) -> None:
    cluster.create(train_job("whole"))
    assert cluster.wait_for("the end of the training", lambda: outcome(cluster, "whole"), SECONDS) == "Complete"
    cluster.create(train_job("disturbed"))
    cluster.wait_for("a checkpoint", lambda: newest_step(data / "disturbed" / "checkpoint") >= 10, SECONDS)
    lost = names_of_pods(cluster, "disturbed")[1]
    cluster.kubectl("delete", "pod", lost, "--namespace=kubeflow", "--force")
    assert newest_step(data / "disturbed" / "checkpoint") < STEPS
    assert cluster.wait_for("the end of the training", lambda: outcome(cluster, "disturbed"), SECONDS) == "Complete"
    assert lost not in names_of_pods(cluster, "disturbed")
    for file in ("model.safetensors", "metrics.jsonl"):
        assert (data / "disturbed" / file).read_bytes() == (data / "whole" / file).read_bytes(), file


def test_a_wrong_number_of_processes_is_refused_with_the_reason(cluster: Cluster, data: Path) -> None:
    refused = cluster.create(train_job("wrong", processes="two"), check=False)
    assert "must have an int value or [auto cpu gpu]" in refused.stderr
