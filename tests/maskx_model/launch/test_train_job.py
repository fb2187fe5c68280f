"""A training on several nodes: the TrainJob that a step asks its cluster for, follows and deletes."""

import os
import signal
import time
from dataclasses import replace
from typing import Any

import pytest

from data_prep.storage.errors import ConfigError, MaskxError
from maskx_model.launch.launch import launch
from maskx_model.launch.train_job import job_name
from maskx_model.launch.training import StageTraining
from maskx_model.training.termination import TerminatedError
from tests.maskx_model.launch.small_cluster import IDENTITY, IMAGE, JOBS, PODS, RUNTIMES, TRAINER, SmallCluster
from tests.maskx_model.launch.small_training import MACHINES, TAINT, made_before
from tests.recording_server import Answer, Recorder

HAS_FAILED = {"type": "Failed", "status": "True", "reason": "JobsFailed", "message": ""}


def posted(server: Recorder, path: str) -> dict[str, Any]:
    (content,) = (each.json() for each in server.asked if (each.method, each.path) == ("POST", path))
    assert isinstance(content, dict)
    return content


def test_the_train_job_runs_our_ranks_on_so_many_nodes(asked: Recorder, training: StageTraining) -> None:
    launch(training, MACHINES)
    job = posted(asked, JOBS)
    assert job["metadata"]["name"] == job_name(training)
    assert job["spec"]["runtimeRef"] == {"kind": "TrainingRuntime", "name": job_name(training)}
    trainer = job["spec"]["trainer"]
    assert trainer["numNodes"] == 2
    assert trainer["image"] == IMAGE
    assert trainer["command"][1:] == ["-m", "maskx_model.launch.ranks", training.to_json()]


def test_its_pods_have_what_the_step_has_on_the_nodes_that_were_asked_for(
    asked: Recorder, training: StageTraining
) -> None:
    launch(training, MACHINES)
    runtime = posted(asked, RUNTIMES)
    assert runtime["spec"]["mlPolicy"] == {"numNodes": 1, "torch": {"numProcPerNode": 4}}
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    refused, taken_away = job["template"]["spec"]["podFailurePolicy"]["rules"]
    assert (refused["action"], refused["onExitCodes"]["values"]) == ("FailJob", [2])
    assert (taken_away["action"], taken_away["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    pod = job["template"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert pod["tolerations"] == [TAINT]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("maskx-step", False)
    assert (pod["priorityClassName"], pod["terminationGracePeriodSeconds"]) == ("maskx-training", 110)
    (container,) = pod["containers"]
    environment = {each["name"]: each for each in container["env"]}
    assert set(environment) == {"MASKX_SCRATCH", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"}
    assert environment["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "maskx-s3"
    assert container["securityContext"] == {"runAsUser": 1000, "runAsNonRoot": True}
    limits = {"memory": "64Gi", "nvidia.com/gpu": "4"}
    assert container["resources"] == {"requests": {"cpu": "8", **limits}, "limits": limits}


def test_its_pods_keep_the_token_of_a_cloud_role_but_not_that_of_kubernetes_api(
    asked: Recorder, training: StageTraining
) -> None:
    launch(training, MACHINES)
    (job,) = posted(asked, RUNTIMES)["spec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["volumes"]] == ["maskx", "shared-memory", "aws-iam-token"]
    (container,) = pod["containers"]
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/data", "/dev/shm", IDENTITY]


def test_accelerators_that_the_sdk_does_not_know_are_requested_too(asked: Recorder, training: StageTraining) -> None:
    launch(training, replace(MACHINES, kind="amd.com/gpu"))
    assert posted(asked, JOBS)["spec"]["trainer"]["numNodes"] == 2
    (job,) = posted(asked, RUNTIMES)["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
    limits = {"memory": "64Gi", "amd.com/gpu": "4", "cpu": "8"}
    assert container["resources"] == {"requests": limits, "limits": limits}


def test_the_step_shows_the_first_nodes_log_once_and_leaves_nothing(
    asked: Recorder, cluster: SmallCluster, capsys: pytest.CaptureFixture[str], training: StageTraining
) -> None:
    launch(training, MACHINES)
    assert capsys.readouterr().err.splitlines() == ["rank 0 begins", "rank 0 is done"]
    assert cluster.objects == {}


def test_a_step_that_is_tried_again_follows_the_train_job_that_runs(
    asked: Recorder, cluster: SmallCluster, training: StageTraining
) -> None:
    made_before(cluster, training)
    launch(training, MACHINES)
    assert {each.method for each in asked.asked} == {"GET", "DELETE"}
    assert cluster.objects == {}


def test_one_that_has_failed_makes_way_for_another(
    asked: Recorder, cluster: SmallCluster, training: StageTraining
) -> None:
    made_before(cluster, training, HAS_FAILED)
    launch(training, MACHINES)
    changes = [(each.method, each.path.partition("?")[0]) for each in asked.asked if each.method != "GET"]
    job, runtime = f"{JOBS}/{job_name(training)}", f"{RUNTIMES}/{job_name(training)}"
    deleted = [("DELETE", job), ("DELETE", runtime)]
    assert changes == [*deleted, ("POST", RUNTIMES), ("POST", JOBS), *deleted]


def test_pods_that_do_not_end_are_not_waited_for_for_good(
    asked: Recorder, cluster: SmallCluster, monkeypatch: pytest.MonkeyPatch, training: StageTraining
) -> None:
    monkeypatch.setattr("maskx_model.launch.cluster.DELETION", 0.1)
    made_before(cluster, training, HAS_FAILED)
    cluster.pods_stay = True
    pods = f"pods -l maskx/train-job={job_name(training)} -n default"
    with pytest.raises(MaskxError, match=rf"not gone after .*kubectl get {pods}\).*kubectl delete {pods} --force"):
        launch(training, MACHINES)


@pytest.mark.parametrize(
    "silent",
    [
        ("GET", f"{JOBS}/"),
        ("DELETE", f"{JOBS}/"),
        ("GET", f"{PODS}/step"),
        ("GET", f"{TRAINER}/clustertrainingruntimes/torch-distributed"),
        ("POST", RUNTIMES),
    ],
)
def test_an_api_server_that_does_not_answer_is_given_up(
    asked: Recorder,
    cluster: SmallCluster,
    silent: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    training: StageTraining,
) -> None:
    monkeypatch.setattr("maskx_model.launch.cluster.ANSWER", (1.0, 0.2))
    monkeypatch.setattr("maskx_model.launch.cluster.PATIENCE", 0.0)
    cluster.silent = silent
    with pytest.raises(MaskxError, match=f"TrainJob {job_name(training)}: .*timed out"):
        launch(training, MACHINES)


def test_sigterm_deletes_it(
    asked: Recorder, cluster: SmallCluster, monkeypatch: pytest.MonkeyPatch, training: StageTraining
) -> None:
    def killed_while_it_waits_for_a_line(_node: int) -> Answer:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
        return 200, b""

    monkeypatch.setattr(cluster, "log", killed_while_it_waits_for_a_line)
    with pytest.raises(TerminatedError):
        launch(training, MACHINES)
    assert cluster.objects == {}
    deletions = [each.path for each in asked.asked if each.method == "DELETE" and each.path.startswith(JOBS)]
    assert deletions[-1] == f"{JOBS}/{job_name(training)}?propagationPolicy=Foreground"


def test_what_the_cluster_refuses_is_told(asked: Recorder, cluster: SmallCluster, training: StageTraining) -> None:
    cluster.refusal = "admission webhook denied the request: exceeded quota"
    told = f"TrainJob {job_name(training)}: .*: {cluster.refusal}"
    with pytest.raises(MaskxError, match=told):
        launch(training, MACHINES)
    assert cluster.objects == {}, "a runtime without its TrainJob is of no use"


def test_a_pod_that_is_started_again_is_shown_from_its_beginning(
    asked: Recorder, cluster: SmallCluster, capsys: pytest.CaptureFixture[str], training: StageTraining
) -> None:
    cluster.ends = (4, "Complete", "JobsCompleted", "")
    cluster.restarts = 3
    launch(training, MACHINES)
    assert capsys.readouterr().err.splitlines() == ["rank 0 begins", "rank 0 is done"] * 2


def test_it_fails_with_its_reason_and_what_each_node_said_last(
    asked: Recorder, cluster: SmallCluster, training: StageTraining
) -> None:
    cluster.ends = (2, "Failed", "JobsFailed", "jobset failed")
    cluster.logs = {0: "begins\nMaskxError: rank 0: connection lost\n", 1: "MaskxError: rank 5: DivergedError: nan\n"}
    with pytest.raises(MaskxError) as error:
        launch(training, MACHINES)
    assert str(error.value) == (
        f"TrainJob {job_name(training)} has failed (JobsFailed: jobset failed); "
        "node 0: MaskxError: rank 0: connection lost; node 1: MaskxError: rank 5: DivergedError: nan"
    )
    assert cluster.objects == {}


def test_a_cluster_without_kubeflow_trainer_says_so(
    asked: Recorder, cluster: SmallCluster, training: StageTraining
) -> None:
    cluster.has_trainer = False
    with pytest.raises(ConfigError, match="no runtime torch-distributed; install Kubeflow Trainer"):
        launch(training, MACHINES)


def test_outside_of_a_cluster_nodes_is_1(training: StageTraining) -> None:
    with pytest.raises(ConfigError, match="this process is in no step of Kubeflow Pipelines; elsewhere nodes is 1"):
        launch(training, MACHINES)
