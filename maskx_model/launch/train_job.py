"""A training on several nodes: a TrainJob of Kubeflow Trainer, which this step creates, follows and deletes.

Its name comes from the folder that the training writes, so a step that is tried again follows the TrainJob that runs.
"""

import hashlib
import itertools
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from data_prep.storage.errors import CheckpointError, MaskxError
from data_prep.storage.storage import absolute
from maskx_model.artifacts.model_folder import holds_model
from maskx_model.launch.cluster import POLL, Cluster, refusals_told
from maskx_model.launch.machines import Machines
from maskx_model.launch.training import StageTraining, train_here
from maskx_model.training.termination import TerminatedError

logger = logging.getLogger(__name__)

COMPLETE, FAILED = "Complete", "Failed"
"""The conditions in which a TrainJob ends."""


def train_on_nodes(training: StageTraining, machines: Machines) -> None:
    """Train on several nodes; returns when the model is there and the TrainJob is deleted.

    Raises:
        TerminatedError: after SIGTERM; the TrainJob is deleted, and its ranks save.
        MaskxError: the TrainJob has failed, the cluster refuses it, or one of another training runs; names the reason.
        CheckpointError: the folder holds a model of other inputs, or none although the TrainJob is complete.
        ConfigError: there is no cluster, or it has no Kubeflow Trainer.
    """
    cluster, name = Cluster(), job_name(training)
    is_there = _is_there(training)
    with refusals_told(name):
        problem = "" if is_there else _watched(cluster, name, training, machines)
        cluster.delete(name)
    if problem:
        raise MaskxError(problem)
    if not is_there and not _is_there(training):
        raise CheckpointError(
            f"{training.out}: no finished model, although TrainJob {name} is complete; choose a folder that this step "
            "and pods on other nodes see alike, such as one in object storage"
        )


def job_name(training: StageTraining) -> str:
    """The TrainJob's name: the stage, and a hash of the folder that it writes."""
    return f"maskx-{training.stage}-{hashlib.sha256(absolute(training.out).encode()).hexdigest()[:10]}"


def _is_there(training: StageTraining) -> bool:
    """Whether the model is finished, of the same inputs; raises CheckpointError if it is another."""
    if not holds_model(training.out):
        return False
    train_here(training)  # returns at once
    return True


def _watched(cluster: Cluster, name: str, training: StageTraining, machines: Machines) -> str:
    """Start the TrainJob and follow it to its end; returns why it failed, empty if it did not."""
    with _raised_termination():
        try:
            _start(cluster, name, training, machines)
            return _follow(cluster, name)
        except TerminatedError:
            logger.warning("TrainJob %s: SIGTERM; it is deleted, and its ranks save", name)
            cluster.delete(name)
            raise


def _start(cluster: Cluster, name: str, training: StageTraining, machines: Machines) -> None:
    """Create the TrainJob, unless it runs; one that has ended, or is being deleted, makes way first.

    Raises MaskxError if the one that runs is of another training.
    """
    command = [sys.executable, "-m", "maskx_model.launch.ranks", training.to_json()]
    job = cluster.job(name)
    if job is not None and not _ended(job) and "deletionTimestamp" not in job["metadata"]:
        cluster.check_job(job, machines, command)
        logger.info("TrainJob %s runs already; this step follows it", name)
        return
    cluster.delete(name)
    cluster.wait_until_deleted(name)
    cluster.create(name, machines, command)
    logger.info("TrainJob %s: %s nodes with %d ranks each", name, machines.nodes, machines.ranks_of_a_node)


def _follow(cluster: Cluster, name: str) -> str:
    """Show the first node's log until the TrainJob ends; returns why it failed, empty if it did not."""
    shown: Counter[str] = Counter()
    while True:
        job = cluster.job(name)
        if job is None:
            return f"TrainJob {name}: somebody has deleted it"
        ended = _ended(job)
        pods = cluster.pods(name)
        if 0 in pods:
            for line in itertools.islice(cluster.log(pods[0], follow=not ended), shown[pods[0]], None):
                print(line, file=sys.stderr, flush=True)
                shown[pods[0]] += 1
        if COMPLETE in ended:
            return ""
        if FAILED in ended:
            told = [f"node {node}: {line}" for node, pod in sorted(pods.items()) if (line := _last_line(cluster, pod))]
            return "; ".join([f"TrainJob {name} has failed ({ended[FAILED]})", *told])
        time.sleep(POLL)


def _last_line(cluster: Cluster, pod: str) -> str:
    lines = [line for line in cluster.log(pod) if line.strip()]
    return lines[-1] if lines else ""


def _ended(job: dict[str, Any]) -> dict[str, str]:
    """The condition in which the TrainJob has ended, with the reason; empty while it runs."""
    conditions = job.get("status", {}).get("conditions", [])
    true = {each["type"]: f"{each['reason']}: {each['message']}" for each in conditions if each["status"] == "True"}
    return {name: reason for name, reason in true.items() if name in (COMPLETE, FAILED)}


@contextmanager
def _raised_termination() -> Iterator[None]:
    """Until the block ends SIGTERM raises TerminatedError, wherever this process waits."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
