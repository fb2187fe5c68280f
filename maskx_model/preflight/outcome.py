"""How a pipeline run ended: told in the log, and as a tag in the tracking server."""

import logging

import msgspec

from data_prep.storage.errors import MaskxError
from maskx_model.preflight.journal import Journal, begun_journal, journal_uri, read_journal, write_journal
from maskx_model.preflight.places import check_tracking
from maskx_model.preflight.versions import ENDED, RUN, tag_run, tag_version
from maskx_model.registry.live_runs import run_of_environment
from maskx_model.registry.mlflow_run import connected, experiment_id

logger = logging.getLogger(__name__)


def note_version(version: str, journal: str, run_id: str, tracking_uri: str) -> None:
    """Tag a registered version with the fingerprint of what it was made of, and then note it in the run's journal.

    Raises:
        DataError: there is no journal, which the first step writes. TrackingError: MLflow refuses; nothing is noted.
    """
    begun = begun_journal(journal)
    tag_version(version, begun.fingerprint, run_id, tracking_uri)
    write_journal(journal, msgspec.structs.replace(begun, registered=version))


def report_outcome(root: str, run_id: str, state: str, message: str, name: str, tracking_uri: str) -> str:
    """Tell how a pipeline run ended, and return the registered version it is about; empty if it failed.

    A run that registered a version has tagged it already. A failed one gets an MLflow run of its own, which is marked
    as failed, unless Kubeflow Pipelines has opened one on this server (MLFLOW_RUN_ID). Where the tracking server cannot
    be told, the log says so.

    Args:
        root: The pipeline's parameter.
        run_id: What the orchestrator calls the run.
        state: The orchestrator's word for the state of all steps together, such as FAILED.
        message: What it says of a failure; may be empty.
        name: Name in the model registry, and of the experiment.
        tracking_uri: MLflow's tracking server, or `sqlite:///FILE`.
    """
    try:
        version, ended = _ending(read_journal(journal_uri(root, run_id)), state, message)
    except MaskxError as error:  # the root itself may be what is wrong
        version, ended = "", f"failed ({state}) {message}; its journal cannot be read: {error}"
    opened = run_of_environment(tracking_uri)
    logger.log(logging.INFO if version else logging.ERROR, "pipeline run %s: %s", run_id, ended)
    if not version or opened is not None:
        try:
            check_tracking(tracking_uri)
            _tell(run_id, ended, opened, name, tracking_uri)
        except MaskxError as error:
            logger.warning("%s: the tracking server could not be updated: %s", run_id, error)
    return version


def _ending(journal: Journal | None, state: str, message: str) -> tuple[str, str]:
    """The version that the run is about, and what there is to tell."""
    if journal is None:
        return "", f"failed in its first step, before anything was done ({state}) {message}".strip()
    if journal.registered:
        return journal.registered, f"registered {journal.registered}"
    if journal.unchanged_since:
        return journal.unchanged_since, f"ended early, nothing has changed since {journal.unchanged_since}"
    return "", f"failed ({state}) {message.rstrip('.')}; a run with root {journal.root} resumes it"


def _tell(run_id: str, ended: str, opened: str | None, name: str, tracking_uri: str) -> None:
    """Tag the run that is `opened`, or else make one that has failed."""
    with connected(tracking_uri) as client:
        if opened is not None:
            tag_run(client, opened, run_id, ended)
        else:
            tags = {RUN: run_id, ENDED: ended}
            run = client.create_run(experiment_id(client, tracking_uri, name), run_name=f"pipeline {run_id}", tags=tags)
            client.set_terminated(run.info.run_id, "FAILED")
