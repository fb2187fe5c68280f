"""Who follows a training: its MLflow run, and a look at AP on some validation images."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from data_prep.format.manifest import dataset_hash, read_manifest
from data_prep.format.reader import Dataset
from data_prep.storage.storage import absolute, exists
from maskx_model.configure.batch import Stage
from maskx_model.data.for_dataset import SOURCE_OF, source_in
from maskx_model.registry.credentials import shown
from maskx_model.registry.live_folder import leave, left_spool, new_spool
from maskx_model.registry.live_runs import hash_of, run_of_environment
from maskx_model.registry.live_spool import LiveDescription
from maskx_model.registry.run_contents import DatasetReference, flatten
from maskx_model.run_config import RunConfig
from maskx_model.training.metric_sink import NOBODY, Observers
from maskx_model.training.stages import made_masks_of

if TYPE_CHECKING:
    from maskx_model.evaluation.validation_slice import Show, ValidationSlice
    from maskx_model.registry.live_run import LiveRun

logger = logging.getLogger(__name__)

FIELDS: dict[Stage, tuple[str, ...]] = {
    "stage1": ("name", "detector", "crops", "stage1", "passes"),
    "stage2": ("name", "detector", "mask", "stage2", "mask_classes", "passes"),
    "joint": ("name", "detector", "mask", "crops", "joint", "mask_classes", "passes"),
}
"""What of a configuration a stage is made of; other fields may change before it is started again."""


@dataclass(frozen=True)
class FollowedTraining:
    """A training to follow: its stage, its data, the folder it writes, its configuration.

    `options`: what it is told beside the configuration, as the trainings' keywords are called (`kind`, `mask_classes`,
    `embedding`, `detector`, `seed`); None for what is not given.
    """

    stage: Stage
    dataset: str
    out: str
    run: RunConfig
    options: Mapping[str, str | int | None] = field(default_factory=dict)


@contextmanager
def followed(training: FollowedTraining, tracking_uri: str | None, experiment: str = "maskx") -> Iterator[Observers]:
    """Who follows the training that runs in the block.

    `tracking_uri`: MLflow's store or server, else MLFLOW_TRACKING_URI; without either nothing is sent. AP on validation
    images is measured where the configuration's `validate_every` says so. Under torchrun the first rank alone sends. A
    training that is finished only sends what an earlier start has left. The block's end is the run's: FINISHED, KILLED
    (by a signal; the training resumes) or FAILED.

    Raises DataError where the validation images or the dataset are not there.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    is_first = os.environ.get("RANK", "0") == "0"
    if exists(f"{training.out}/manifest.json"):
        if is_first:
            _send_rest(training.out, uri)
        yield NOBODY
        return
    if uri is None or not is_first:
        yield Observers(watch=_watch(training, None))
        return
    from maskx_model.registry.live_run import LiveRun
    from maskx_model.registry.live_sender import little_patience

    spool = new_spool(training.out, describe_training(training, uri, experiment))
    with little_patience():
        live, status = LiveRun(spool, uri), "FAILED"
        try:
            yield Observers(live, _watch(training, live))
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        finally:
            live.end(status)
            leave(training.out, spool)


def describe_training(training: FollowedTraining, tracking_uri: str, experiment: str) -> LiveDescription:
    """What is known of the training's run before it begins; the same folder and inputs give the same run."""
    out = absolute(training.out)
    dataset = _dataset(training.dataset)
    settings = {name: msgspec.to_builtins(getattr(training.run, name)) for name in FIELDS[training.stage]}
    if training.stage == "joint" and (made_masks := made_masks_of(training.run)):
        settings["stage2"] = made_masks
    options = {name: value for name, value in training.options.items() if value is not None}
    source = {"source": getattr(training.run, SOURCE_OF[training.stage]), "seed": training.run.seed}
    tree: dict[str, Any] = {"preset": settings, "stage": training.stage, **source, **options}
    parameters = {name: str(value) for name, value in flatten(tree, ".")}
    key = hash_of(out, dataset.sha256, *(f"{name}={value}" for name, value in sorted(parameters.items())))
    root = out.rpartition("/")[0]
    parent = run_of_environment(tracking_uri)
    return LiveDescription(key, out, root, shown(tracking_uri), experiment, parent, parameters, dataset)


def _dataset(uri: str) -> DatasetReference:
    counts = msgspec.json.encode(read_manifest(uri).counts, order="sorted").decode()
    return DatasetReference(uri, dataset_hash(uri), ("training",), counts)


def _send_rest(out: str, uri: str | None) -> None:
    """What a training that is finished has left goes to the server, if it answers."""
    spool = left_spool(out)
    if spool is None or not spool.waits:
        return
    from maskx_model.registry.live_sender import SpoolSender, little_patience

    server = spool.description.tracking_uri
    try:
        with little_patience():
            SpoolSender(spool, uri if uri is not None and shown(uri) == server else server).send_all()
    except Exception as error:  # whatever MLflow or its store raises
        logger.warning("%s: %s still does not accept metrics (%s)", spool.folder, server, shown(str(error)))
    leave(out, spool)


def _watch(training: FollowedTraining, live: "LiveRun | None") -> "ValidationSlice | None":
    schedule = getattr(training.run, training.stage)
    if schedule.validate_every is None:
        return None
    from maskx_model.evaluation.validation_slice import Slice, ValidationSlice

    data = Dataset.open(training.dataset)
    images = Slice(data, *_protocol(training, data), schedule.validate_images)
    show: Show | None = None if live is None else live.show
    masks = training.stage != "stage1"
    whole = {"whole": _whole(training, data)} if training.stage == "stage2" else {}
    return ValidationSlice(images, schedule.validate_every, masks, show=show, compute=schedule.compute, **whole)


def _protocol(training: FollowedTraining, data: Dataset) -> tuple[str, frozenset[int]]:
    """The source that AP is measured on, and A: all classes, for a detector of data without masks in training."""
    from maskx_model.data.mask_classes import classes_with_masks, resolve_mask_classes

    source = source_in(data, training.run.stage2_source)
    if training.stage == "stage1" and not classes_with_masks(data.vocabulary, source):
        return source, frozenset(range(len(data.vocabulary)))
    named = str(training.options.get("mask_classes") or training.run.mask_classes)
    return source, frozenset(resolve_mask_classes(named, data.vocabulary, source))


def _whole(training: FollowedTraining, data: Dataset) -> Any:
    """Makes the whole model of a mask branch that is trained."""
    from maskx_model.data.word_vectors import class_vectors
    from maskx_model.evaluation.branch_on_detector import BranchOnDetector

    kind: Any = training.options.get("kind")
    embedding = training.options.get("embedding")
    mask = replace(training.run.mask, kind=kind or training.run.mask.kind)
    vectors = class_vectors(str(embedding), data.vocabulary) if embedding is not None else None
    return BranchOnDetector(str(training.options["detector"]), mask, vectors)
