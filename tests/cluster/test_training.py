"""The pipeline's step that trains on two nodes: its account, a TrainJob, pods, torchrun and checkpoints, for real."""

import shutil
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from tests.cluster.cluster import Cluster
from tests.cluster.steps import training_step
from tests.maskx_model.killing import newest_step

pytestmark = [pytest.mark.cluster, pytest.mark.parametrize("overlay", ["dev"], indirect=True)]
STEPS = 200
SECONDS = 300
KUBEFLOW = "--namespace=kubeflow"


@pytest.fixture(scope="module")
def data(cluster: Cluster, overlay: str, toy_dataset: Dataset) -> Path:
    """The folder of the volume that steps see at /data; it has a dataset and a configuration."""
    name = cluster.wait_for("a volume", lambda: cluster.get("pvc", "maskx", KUBEFLOW)["spec"].get("volumeName"))
    folder = Path(cluster.get("pv", name)["spec"]["hostPath"]["path"])
    shutil.copytree(toy_dataset.uri, folder / "dataset")
    return folder


def train_jobs(cluster: Cluster) -> list[str]:
    return [job["metadata"]["name"] for job in cluster.get("trainjobs", KUBEFLOW)]


def ranks(cluster: Cluster) -> list[str]:
    """The pods of the TrainJob that runs, by node."""
    pods = cluster.get("pods", KUBEFLOW, "--selector=maskx/train-job")
    return sorted(pod["metadata"]["name"] for pod in pods)


def wait_for_checkpoint(cluster: Cluster, out: Path) -> None:
    cluster.wait_for("a checkpoint", lambda: newest_step(out / "checkpoint") >= 10, SECONDS)


def end_of(cluster: Cluster, step: str) -> str:
    """How a step ends: Succeeded or Failed."""

    def ended() -> str:
        phase = str(cluster.get("pod", step, KUBEFLOW)["status"]["phase"])
        return phase if phase in ("Succeeded", "Failed") else ""

    return str(cluster.wait_for(f"the end of {step}", ended, SECONDS))


def log(cluster: Cluster, step: str) -> str:
    return cluster.kubectl("logs", step, KUBEFLOW).stdout


def test_a_training_that_loses_a_pod_ends_in_the_same_weights(cluster: Cluster, data: Path) -> None:
    cluster.create(training_step("undisturbed", data, STEPS))
    assert end_of(cluster, "undisturbed") == "Succeeded", log(cluster, "undisturbed")
    cluster.create(training_step("disturbed", data, STEPS))
    wait_for_checkpoint(cluster, data / "disturbed")
    cluster.kubectl("delete", "pod", ranks(cluster)[1], KUBEFLOW, "--force")
    assert newest_step(data / "disturbed" / "checkpoint") < STEPS
    assert end_of(cluster, "disturbed") == "Succeeded", log(cluster, "disturbed")
    assert train_jobs(cluster) == []
    for file in ("model.safetensors", "metrics.jsonl"):
        assert (data / "disturbed" / file).read_bytes() == (data / "undisturbed" / file).read_bytes(), file


def test_a_training_that_is_refused_is_not_tried_again(cluster: Cluster, data: Path) -> None:
    shutil.copytree(data / "dataset", data / "damaged")
    (data / "damaged" / "manifest.json").write_text("{")
    cluster.create(training_step("refused", data, STEPS, dataset="/data/damaged"))
    assert end_of(cluster, "refused") == "Failed"
    told = log(cluster, "refused")
    assert "PodFailurePolicy" in told or "FailedJobs" in told, told
    assert "/data/damaged/manifest.json" in told
    assert train_jobs(cluster) == []


def test_a_step_that_is_cancelled_takes_its_train_job_along(cluster: Cluster, data: Path) -> None:
    cluster.create(training_step("cancelled", data, 2000))
    wait_for_checkpoint(cluster, data / "cancelled")
    cluster.kubectl("delete", "pod", "cancelled", KUBEFLOW)
    cluster.wait_for("the end of the TrainJob", lambda: not train_jobs(cluster))
    cluster.wait_for("the end of its pods", lambda: not ranks(cluster))
    assert not (data / "cancelled" / "model.safetensors").exists()
