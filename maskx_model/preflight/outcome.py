"""How a pipeline run ended: told in the log, and as a tag in the tracking server."""

import logging
import os

from data_prep.storage.errors import MaskxError
from maskx_model.preflight.journal import Journal, journal_uri, note_registered, read_journal
from maskx_model.preflight.places import check_tracking
from maskx_model.preflight.versions import ENDED, RUN, tag_run, tag_version
from maskx_model.registry.mlflow_run import connected, experiment_id

logger = logging.getLogger(__name__)
OPEN_RUN = "MLFLOW_RUN_ID"
"""The MLflow run that Kubeflow Pipelines has opened for the pipeline run, where it does so."""


def note_version(version: str, journal: str, run_id: str, tracking_uri: str) -> None:
    """Note a registered version in the run's journal, and tag it with the fingerprint of what it was made of.

    Raises:
        DataError: there is no journal, which the first step writes. TrackingError: MLflow refuses.
    """
    tag_version(version, note_registered(journal, version).fingerprint, run_id, tracking_uri)


def report_outcome(root: str, run_id: str, state: str, message: str, name: str, tracking_uri: str) -> str:
    """Tell how a pipeline run ended, and return the registered version it is about; empty if it failed.

    A run that registered a version has tagged it already. A failed one gets an MLflow run of its own, which is marked
    as failed, unless Kubeflow Pipelines has opened one. Where the tracking server cannot be told, the log says so.

    Args:
        root: The pipeline's parameter.
        run_id: What the orchestrator calls the run.
        state: The orchestrator's word for the state of all steps together, such as FAILED.
        message: What it says of a failure; may be empty.
        name: Name in the model registry, and of the experiment.
        tracking_uri: MLflow's tracking server, or `sqlite:///FILE`.
    """
    journal = read_journal(journal_uri(root, run_id))
    version, ended = _ending(journal, state, message)
    logger.log(logging.INFO if version else logging.ERROR, "pipeline run %s: %s", run_id, ended)
    if not version or OPEN_RUN in os.environ:
        try:
            check_tracking(tracking_uri)
            _tell(run_id, ended, not version, name, tracking_uri)
        except MaskxError as error:
            logger.warning("%s: the tracking server could not be told: %s", run_id, error)
    return version


def _ending(journal: Journal | None, state: str, message: str) -> tuple[str, str]:
    """The version that the run is about, and what there is to tell."""
    if journal is None:
        return "", f"failed in its first step, before anything was done ({state}) {message}".strip()
    if journal.registered:
        return journal.registered, f"registered {journal.registered}"
    if journal.unchanged_since:
        return journal.unchanged_since, f"ended early, nothing has changed since {journal.unchanged_since}"
    return "", f"failed ({state}) {message}; submitted again with root {journal.root} it resumes"


def _tell(run_id: str, ended: str, failed: bool, name: str, tracking_uri: str) -> None:
    with connected(tracking_uri) as client:
        if present := os.environ.get(OPEN_RUN):
            tag_run(client, present, run_id, ended)
        elif failed:
            tags = {RUN: run_id, ENDED: ended}
            run = client.create_run(experiment_id(client, tracking_uri, name), run_name=f"pipeline {run_id}", tags=tags)
            client.set_terminated(run.info.run_id, "FAILED")
