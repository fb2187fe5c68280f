"""MLflow: one run for each trained and evaluated model.

A run carries all stages that led to its model, so that comparing two runs in MLflow's pages compares two whole ways of
training: settings side by side, AP on A and B, and one loss curve per stage (`detector/loss`, `masks-transfer/loss`).
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_prep.storage.errors import MaskxError
from data_prep.storage.storage import absolute, is_on_disk
from maskx_model.registry.credentials import shown
from maskx_model.registry.run_contents import Curve, DatasetReference, RunContents

logger = logging.getLogger(__name__)

SQLITE = "sqlite:///"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # or MLflow reports its use to its makers over the network
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_UV_AUTO_DETECT": "false",  # or a uv.lock in the working folder decides what the model requires
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""MLflow's own settings, where the user has not chosen otherwise; they must stand before it is imported."""
KIND, TRAINING = "mlflow.experimentKind", "custom_model_development"
"""The tag by which MLflow's pages choose what to show of an experiment."""
METRICS_PER_CALL = 1000
PARAMETERS_PER_CALL = 100
DIGEST_LENGTH = 36
"""MLflow keeps no more of a dataset's digest; the whole one is among the parameters (`evaluation.dataset`)."""


class TrackingError(MaskxError):
    """MLflow's store or server cannot do what was asked of it."""


def resolve_tracking_uri(option: str | None) -> str:
    """Where MLflow keeps things: the option, else MLFLOW_TRACKING_URI, else `mlflow.db` in the working folder."""
    return option or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{Path.cwd() / 'mlflow.db'}"


@contextmanager
def connected(tracking_uri: str) -> Iterator[Any]:
    """An `mlflow.MlflowClient` of that store or server, which is MLflow's global one within the block only.

    MLflow's own errors come out as TrackingError.
    """
    _prepare(tracking_uri)
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield mlflow.MlflowClient()
    except mlflow.MlflowException as error:
        first_line = str(error).partition("\n")[0]
        raise TrackingError(shown(f"{tracking_uri}: MLflow refuses ({first_line}); check --tracking-uri")) from error
    finally:
        mlflow.set_tracking_uri(before)


def client_of(tracking_uri: str) -> Any:
    """An `mlflow.MlflowClient` of that store or server, with nothing global changed; MLflow's errors stay its own."""
    _prepare(tracking_uri)
    import mlflow

    return mlflow.MlflowClient(tracking_uri)


def set_quiet() -> None:
    """MLflow's settings in the environment, which must stand before it is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def _prepare(tracking_uri: str) -> None:
    """What must stand before a store is opened."""
    set_quiet()
    if tracking_uri.startswith(SQLITE):
        Path(tracking_uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)


def experiment_id(client: Any, tracking_uri: str, name: str) -> str:
    """The experiment of that name, made if need be; for SQLite its files go to `mlartifacts/` beside the database.

    It is of the kind for training, or MLflow's pages would ask, or show traces of language models.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        if KIND not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, KIND, TRAINING)
        return str(experiment.experiment_id)
    location = None
    if tracking_uri.startswith(SQLITE):
        database = Path(tracking_uri.removeprefix(SQLITE)).resolve()
        location = (database.parent / "mlartifacts" / name).as_uri()
    return str(client.create_experiment(name, artifact_location=location, tags={KIND: TRAINING}))


@contextmanager
def logged_run(
    client: Any, experiment: str, name: str, contents: RunContents, tags: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Log all of the record; yields the run's id while the run is open. An error within marks it as failed.

    What an earlier attempt at the same model has left unfinished is deleted first, as it was killed or has failed.
    """
    _delete_unfinished(client, experiment, contents.model_sha256)
    run_id = str(client.create_run(experiment, run_name=name, tags={**tags, **_tags(contents)}).info.run_id)
    status = "FAILED"
    try:
        _log_contents(client, run_id, contents)
        yield run_id
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)


def end_run(client: Any, run_id: str) -> None:
    """Mark a registered version's run as finished, where the registration was killed just before that, or failed as the
    server's answer was lost."""
    if client.get_run(run_id).info.status != "FINISHED":
        client.set_terminated(run_id, "FINISHED")


def _delete_unfinished(client: Any, experiment: str, model_sha256: str) -> None:
    """Delete runs of that model which never finished, with what they hold; `mlflow gc` then removes the files.

    A run that has become a version stays: `end_run` marks it as finished when the same is registered again.
    """
    unfinished = f"tags.model_sha256 = '{model_sha256}' AND attributes.status != 'FINISHED'"
    for run in client.search_runs([experiment], unfinished):
        if client.search_model_versions(f"run_id = '{run.info.run_id}'", max_results=1):
            continue
        for model in client.search_logged_models([experiment], f"source_run_id = '{run.info.run_id}'"):
            client.delete_logged_model(model.model_id)
        client.delete_run(run.info.run_id)
        logger.info("%s: an earlier attempt at registering this model was cut off here; deleted", run.info.run_id)


def _log_contents(client: Any, run_id: str, contents: RunContents) -> None:
    log_parameters(client, run_id, contents.parameters)
    _log_metrics(client, run_id, contents.metrics, contents.curves)
    if contents.dataset is not None:
        log_dataset(client, run_id, contents.dataset)
    for folder, files in contents.files.items():
        for file in files:
            client.log_artifact(run_id, str(file), folder)


def _tags(contents: RunContents) -> dict[str, str]:
    preset = {"preset": name} if (name := contents.parameters.get("preset.name")) else {}
    return {
        "kind": contents.kind,
        "model_sha256": contents.model_sha256,
        "mlflow.note.content": describe(contents),
        **preset,
    }


def _log_metrics(client: Any, run_id: str, metrics: dict[str, float], curves: tuple[Curve, ...]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    points = [(name, 0, value) for name, value in metrics.items()]
    points += [(curve.name, step, value) for curve in curves for step, value in curve.points]
    logged = [Metric(name, value, now, step) for name, step, value in points]
    for start in range(0, len(logged), METRICS_PER_CALL):
        client.log_batch(run_id, metrics=logged[start : start + METRICS_PER_CALL])


def log_parameters(client: Any, run_id: str, values: Mapping[str, str]) -> None:
    """Log flat parameters to a run; the same ones again change nothing."""
    from mlflow.entities import Param

    parameters = [Param(key, value) for key, value in values.items()]
    for start in range(0, len(parameters), PARAMETERS_PER_CALL):
        client.log_batch(run_id, params=parameters[start : start + PARAMETERS_PER_CALL])


def log_dataset(client: Any, run_id: str, dataset: DatasetReference) -> None:
    """Log a dataset, with its digest, as an input of a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    uri = absolute(dataset.uri)
    on_disk = is_on_disk(uri)
    entity = Dataset(
        name=uri.rpartition("/")[2],
        digest=dataset.sha256[:DIGEST_LENGTH],
        source_type="local" if on_disk else "s3",
        source=f'{{"uri": "{Path(uri).as_uri() if on_disk else uri}"}}',
        profile=dataset.counts,
    )
    client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", " and ".join(dataset.used_for))])])


def describe(contents: RunContents) -> str:
    """A Markdown table of mask AP: what MLflow shows as the run's and the version's description."""
    lines = ["Mask AP (percent points) by the classes' part: A had masks in training, B had none.", ""]
    lines += ["| | A | B | all |", "|---|---|---|---|"]
    for key, title in (("ap", ""), ("ap_gt_boxes", ", ground-truth boxes")):
        kinds = dict.fromkeys(name.split("/")[1] for name in contents.metrics if name.startswith(f"{key}/"))
        for kind in kinds:
            cells = (contents.metrics.get(f"{key}/{kind}/{part}") for part in ("A", "B", "all"))
            lines.append(f"| {kind}{title} | " + " | ".join("–" if c is None else f"{c:.1f}" for c in cells) + " |")
    return "\n".join(lines)
