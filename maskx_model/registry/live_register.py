"""What `register` takes over from the runs of trainings that were followed: their curves stand there already."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from maskx_model.registry.credentials import shown
from maskx_model.registry.live_folder import leave, left_spool
from maskx_model.registry.live_runs import PARENT, now, parent_of, stage_runs, steps_of
from maskx_model.registry.live_sender import SpoolSender, little_patience
from maskx_model.registry.mlflow_run import METRICS_PER_CALL
from maskx_model.registry.run_contents import RunContents, folder_name, read_curves

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FollowedStages:
    """The runs of the trainings that led to a model, by the URIs of their folders, and where its own run belongs: below
    the parent, in its experiment; None where there is none."""

    runs: Mapping[str, str]
    parent: str | None
    experiment: str | None

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the model's own run: its parent, and the trainings' runs as `training.<folder>`."""
        parent = {} if self.parent is None else {PARENT: self.parent}
        return parent | {f"training.{folder_name(stage)}": run_id for stage, run_id in self.runs.items()}

    def without_curves(self, contents: RunContents) -> RunContents:
        """The record without the curves that those runs have."""
        names = tuple(f"{folder_name(stage)}/" for stage in self.runs)
        return replace(contents, curves=tuple(each for each in contents.curves if not each.name.startswith(names)))


def followed_stages(client: Any, tracking_uri: str, stages: Iterable[str], joined: str | None) -> FollowedStages:
    """Find the runs of those stages' trainings, and send there first what is not there yet: what waits in a spool, then
    what stands in the folder's own curves alone.

    `joined`: the run that this process was started in, the parent where no training was followed. Raises what MLflow
    raises.
    """
    stages = tuple(dict.fromkeys(stages))
    for stage in stages:
        spool = left_spool(stage)
        if spool is not None and spool.waits and spool.description.tracking_uri == shown(tracking_uri):
            logger.info("%s: %d lines waited, and are sent now", spool.folder, spool.waiting())
            with little_patience():
                SpoolSender(spool, tracking_uri).send_all()
            leave(stage, spool)
    runs = stage_runs(client, stages)
    for stage, run_id in runs.items():
        _complete(client, run_id, stage)
    parent = parent_of(client, next(reversed(runs.values()))) if runs else joined
    experiment = None if parent is None else str(client.get_run(parent).info.experiment_id)
    return FollowedStages(runs, parent, experiment)


def _complete(client: Any, run_id: str, stage: str) -> None:
    """Log what the folder's curves have and the run has not: a spool may be lost with its machine.

    Where parts of a training have curves of their own, the folder's are of the part that was chosen, and are left out.
    """
    from mlflow.entities import Metric

    time, missing = now(), []
    logged = tuple(client.get_run(run_id).data.metrics)
    for curve in read_curves(stage):
        name = curve.name.removeprefix(f"{folder_name(stage)}/")
        if any(other.endswith(f"/{name}") for other in logged):
            continue
        there = steps_of(client, run_id, name)
        missing += [Metric(name, value, time, step) for step, value in curve.points if step not in there]
    for start in range(0, len(missing), METRICS_PER_CALL):
        client.log_batch(run_id, metrics=missing[start : start + METRICS_PER_CALL])
