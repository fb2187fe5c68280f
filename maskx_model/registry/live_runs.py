"""Where a training's run stands in MLflow: below the pipeline's, and found again by tags.

All trainings whose folders lie in one folder have a common parent, named after it; where MLFLOW_RUN_ID names a run
(KFP starts one for each pipeline run), that is the parent. A run is found by a hash in its tags.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from typing import Any

from data_prep.storage.storage import absolute
from maskx_model.registry.credentials import shown
from maskx_model.registry.live_spool import LiveDescription
from maskx_model.registry.mlflow_run import experiment_id, log_dataset, log_parameters

TRAINING, STAGE, PIPELINE = "maskx.training", "maskx.stage", "maskx.pipeline"
"""Tags: the hash of a training's folder and inputs, of its folder, and of the folder above."""
PARENT = "mlflow.parentRunId"
"""The tag by which MLflow's pages show a run below another."""


def hash_of(*texts: str) -> str:
    """A short hash, hexadecimal, that is a tag's value whatever the texts hold."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:32]


def run_of_environment(tracking_uri: str) -> str | None:
    """The run that this process was started in: MLFLOW_RUN_ID, where it is of this server."""
    if shown(os.environ.get("MLFLOW_TRACKING_URI", tracking_uri)).rstrip("/") != shown(tracking_uri).rstrip("/"):
        return None
    return os.environ.get("MLFLOW_RUN_ID") or None


def training_run(client: Any, live: LiveDescription) -> tuple[str, bool]:
    """The id of the training's run, which is made, with its parameters and dataset, where there is none; and whether it
    is new."""
    experiment = experiment_for(client, live.tracking_uri, live.experiment, live.parent_run)
    run_id = _find(client, [experiment], TRAINING, live.training)
    is_new = run_id is None
    if run_id is None:
        parent = live.parent_run or _pipeline_run(client, experiment, live.root)
        name = live.folder.rpartition("/")[2]
        tags = {TRAINING: live.training, STAGE: hash_of(live.folder), PARENT: parent, "folder": live.folder}
        run_id = str(client.create_run(experiment, tags=tags, run_name=name).info.run_id)
    # Also for one that was found: its maker may have been killed before. The same again changes nothing.
    log_parameters(client, run_id, live.parameters)
    log_dataset(client, run_id, live.dataset)
    return run_id, is_new


def experiment_for(client: Any, tracking_uri: str, name: str, parent: str | None) -> str:
    """The experiment of the parent, where there is one; else the one of that name, made if need be."""
    if parent is not None:
        return str(client.get_run(parent).info.experiment_id)
    return experiment_id(client, tracking_uri, name)


def parent_of(client: Any, run_id: str) -> str:
    """The id of the run above."""
    return str(client.get_run(run_id).data.tags[PARENT])


def is_ours(client: Any, run_id: str) -> bool:
    """Whether a parent was made here, and not joined."""
    return PIPELINE in client.get_run(run_id).data.tags


def status_of_children(client: Any, parent: str) -> str:
    """RUNNING while a run below the parent runs; else FAILED or KILLED if one has ended so, else FINISHED.

    Of each stage the newest run counts.
    """
    experiment, below = client.get_run(parent).info.experiment_id, f"tags.`{PARENT}` = '{parent}'"
    runs = client.search_runs([experiment], below, order_by=["attributes.start_time ASC"])
    newest = {run.data.tags.get(STAGE, run.info.run_id): run.info.status for run in runs}
    return next((status for status in ("RUNNING", "FAILED", "KILLED") if status in newest.values()), "FINISHED")


def stage_runs(client: Any, stages: Iterable[str]) -> dict[str, str]:
    """URI of a stage's folder → the id of its newest run, in whatever experiment, for those that have one."""
    experiments = [each.experiment_id for each in client.search_experiments()]
    found = {stage: _find(client, experiments, STAGE, hash_of(absolute(stage)), newest=True) for stage in stages}
    return {stage: run_id for stage, run_id in found.items() if run_id is not None}


def steps_of(client: Any, run_id: str, name: str) -> set[int]:
    """The steps at which the run has that number."""
    return {int(point.step) for point in client.get_metric_history(run_id, name)}


def _pipeline_run(client: Any, experiment: str, root: str) -> str:
    """The parent's id. Two steps that make one at once agree on the older one."""
    key = hash_of(root)
    if (found := _find(client, [experiment], PIPELINE, key)) is not None:
        return found
    tags = {PIPELINE: key, "folder": root}
    own = str(client.create_run(experiment, tags=tags, run_name=root.rpartition("/")[2] or root).info.run_id)
    oldest = _find(client, [experiment], PIPELINE, key) or own
    if oldest != own:
        client.delete_run(own)
    return oldest


def _find(client: Any, experiments: list[str], tag: str, value: str, newest: bool = False) -> str | None:
    order = ["attributes.start_time " + ("DESC" if newest else "ASC"), "attributes.run_id ASC"]
    runs = client.search_runs(experiments, f"tags.`{tag}` = '{value}'", max_results=1, order_by=order)
    return str(runs[0].info.run_id) if runs else None


def now() -> int:
    """The time as MLflow wants it, ms since 1970."""
    return int(time.time() * 1000)
