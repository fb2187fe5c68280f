"""A checkpoint in storage: safetensors for tensors, JSON for the rest, the marker last.

A run's random numbers, and its place in the data, are functions of its seed and the step, so that the step is all that
a checkpoint needs of them. The configuration, the vocabulary's hash and the code's versions stand beside it.
"""

import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from data_prep.storage.errors import JSON_ERRORS, CheckpointError, DataError
from data_prep.storage.storage import (
    create_folder,
    is_on_disk,
    list_files,
    read,
    remove_folder,
)
from maskx_model.artifacts.origin import Origin, check_same_origin
from maskx_model.artifacts.tensors import load_tensors, save_tensors
from maskx_model.run_config import RunConfig

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

KEPT = 2
"""Checkpoints that stay, beside the best one: the newest, and the one to go back to if the newest is damaged."""
MARKER = "state.json"
"""The file of a checkpoint that is there when all others are."""


@dataclass(frozen=True)
class TrainingState:
    """A training after `step` steps: tensors by name, the metric lines so far, and how good the model is, if that was
    measured (higher is better)."""

    step: int
    tensors: "Mapping[str, Tensor]"
    metrics: bytes
    score: float | None = None


class _TrainingHeader(msgspec.Struct, frozen=True):
    step: int
    made_from: Origin
    metrics_bytes: int
    score: float | None = None
    run: Any = None


def save_training_state(folder: str, state: TrainingState, made_from: Origin, run: RunConfig | None = None) -> None:
    """Write the checkpoint of that step; keep the one before it and the one with the highest score, and remove others.

    A kill or a power failure at any moment leaves a whole checkpoint.
    """
    checkpoints, name = f"{folder}/checkpoint", f"step-{state.step:08d}"
    header = _TrainingHeader(state.step, made_from, len(state.metrics), state.score, msgspec.to_builtins(run))
    with create_folder(f"{checkpoints}/{name}", MARKER) as partial:
        save_tensors(state.tensors, partial / "state.safetensors")
        (partial / "metrics.jsonl").write_bytes(state.metrics)
        (partial / MARKER).write_bytes(msgspec.json.encode(header))
    present = {path.partition("/")[0] for path in list_files(checkpoints)}
    # A later step belongs to a damaged checkpoint, from which this training did not resume.
    own = {each for each in present if each.startswith("step-") and each <= name}
    kept = {*sorted(own)[-KEPT:], *_best(checkpoints, own)}
    for other in present - kept:
        remove_folder(f"{checkpoints}/{other}")


def _best(checkpoints: str, names: Set[str]) -> Set[str]:
    """The one with the highest score, the later of two equal ones; none where none has a score."""
    headers = {name: _read_header(f"{checkpoints}/{name}") for name in names}
    scores = {name: header.score for name, header in headers.items() if header is not None and header.score is not None}
    return {max(scores, key=lambda name: (scores[name], name))} if scores else set()


def _read_header(uri: str) -> _TrainingHeader | None:
    try:
        return msgspec.json.decode(read(f"{uri}/{MARKER}"), type=_TrainingHeader)
    except (DataError, *JSON_ERRORS):
        return None


def load_training_state(folder: str, made_from: Origin) -> TrainingState | None:
    """The folder's newest checkpoint that is whole, or None to begin.

    A damaged checkpoint is passed over, with a warning, where an older one is whole. Raises CheckpointError if none of
    them is, or if a checkpoint belongs to another training.
    """
    checkpoints = f"{folder}/checkpoint"
    files = set(list_files(checkpoints))
    steps = {path.partition("/")[0] for path in files if path.startswith("step-")}
    if not is_on_disk(checkpoints):  # where a folder does not appear at once, the upload of one may have been cut off
        steps = {step for step in steps if f"{step}/{MARKER}" in files}
    damage: CheckpointError | None = None
    for step in sorted(steps, reverse=True):
        try:
            header, state = _read_state(f"{checkpoints}/{step}")
        except CheckpointError as error:
            logger.warning("%s; looking for an older one", error)
            damage = damage or error
            continue
        check_same_origin(f"{checkpoints}/{step}: belongs to", header.made_from, made_from)
        return state
    if damage is not None:
        raise CheckpointError(f"{damage}; delete {checkpoints} to begin again")
    return None


def _read_state(uri: str) -> tuple[_TrainingHeader, TrainingState]:
    try:
        header = msgspec.json.decode(read(f"{uri}/{MARKER}"), type=_TrainingHeader)
        metrics = read(f"{uri}/metrics.jsonl")
    except (DataError, *JSON_ERRORS) as error:
        problem = error if isinstance(error, DataError) else f"{uri}/{MARKER}: {error}"
        raise CheckpointError(f"{problem}; the checkpoint is damaged") from None
    if len(metrics) != header.metrics_bytes:
        raise CheckpointError(
            f"{uri}/metrics.jsonl: {len(metrics)} bytes instead of {header.metrics_bytes}; the checkpoint is damaged"
        )
    return header, TrainingState(header.step, load_tensors(f"{uri}/state.safetensors"), metrics, header.score)
