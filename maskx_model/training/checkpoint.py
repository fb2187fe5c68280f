"""Checkpoints of a training: safetensors for tensors, JSON for the rest, the marker last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from data_prep.storage.errors import CheckpointError, DataError
from data_prep.storage.storage import (
    create_folder,
    is_on_disk,
    list_files,
    read,
    remove_folder,
)
from maskx_model.artifacts.origin import Origin, check_same_origin
from maskx_model.artifacts.tensors import load_tensors

if TYPE_CHECKING:
    from torch import Tensor

MARKER = "state.json"
"""The file of a checkpoint that is there when all others are."""


@dataclass(frozen=True)
class TrainingState:
    """A training after `step` steps: tensors by name, and the metric lines so far."""

    step: int
    tensors: "Mapping[str, Tensor]"
    metrics: bytes


class _TrainingHeader(msgspec.Struct, frozen=True):
    step: int
    made_from: Origin


def save_training_state(folder: str, state: TrainingState, made_from: Origin) -> None:
    """Write the checkpoint of that step, then remove older ones; a kill at any moment leaves a whole one."""
    from safetensors.torch import save_file

    checkpoints, name = f"{folder}/checkpoint", f"step-{state.step:08d}"
    with create_folder(f"{checkpoints}/{name}", MARKER) as partial:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        save_file(tensors, partial / "state.safetensors")
        (partial / "metrics.jsonl").write_bytes(state.metrics)
        (partial / MARKER).write_bytes(msgspec.json.encode(_TrainingHeader(state.step, made_from)))
    for other in {path.partition("/")[0] for path in list_files(checkpoints)} - {name}:
        remove_folder(f"{checkpoints}/{other}")


def load_training_state(folder: str, made_from: Origin) -> TrainingState | None:
    """The folder's newest checkpoint, or None to begin; raises CheckpointError if it belongs to another training."""
    checkpoints = f"{folder}/checkpoint"
    files = set(list_files(checkpoints))
    steps = {path.partition("/")[0] for path in files if path.startswith("step-")}
    if not is_on_disk(checkpoints):  # where a folder does not appear at once, the upload of one may have been cut off
        steps = {step for step in steps if f"{step}/{MARKER}" in files}
    if not steps:
        return None
    newest = f"{checkpoints}/{max(steps)}"
    try:
        header = msgspec.json.decode(read(f"{newest}/{MARKER}"), type=_TrainingHeader)
        metrics = read(f"{newest}/metrics.jsonl")
    except (DataError, msgspec.DecodeError) as error:
        problem = error if isinstance(error, DataError) else f"{newest}/{MARKER}: {error}"
        raise CheckpointError(f"{problem}; the checkpoint is damaged, delete {newest} to begin again") from None
    check_same_origin(f"{newest}: belongs to", header.made_from, made_from)
    return TrainingState(header.step, load_tensors(f"{newest}/state.safetensors"), metrics)
