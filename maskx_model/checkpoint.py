"""Models and unfinished trainings in storage: safetensors for the weights, JSON for the rest, a manifest last."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from data_prep.format.errors import CheckpointError, DataError
from data_prep.format.storage import (
    create_folder,
    exists,
    is_on_disk,
    list_files,
    local_copy,
    read,
    remove,
    remove_folder,
    sha256,
    write,
)
from data_prep.format.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from maskx_model.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

MARKER = "state.json"
"""The file of a checkpoint that is there when all others are."""

Origin = dict[str, str | int | float | None]
"""What a model was made from: hashes of its inputs, and its settings."""


class ModelManifest(msgspec.Struct, frozen=True):
    """`manifest.json` of a model folder, written last: what it was made from, and its files with their SHA-256."""

    made_from: Origin
    files: dict[str, str]


class _Description(msgspec.Struct, frozen=True):
    model: ModelConfig
    mask_classes: tuple[int, ...]


@dataclass(frozen=True)
class LoadedModel:
    """A model with all that is needed to use it. `model` is a MaskXRCNN, or a FasterRCNN where `config.mask` is None;
    `mask_classes` is A: 0-based positions in the vocabulary of the classes whose masks were seen in training."""

    model: "nn.Module"
    config: ModelConfig
    vocabulary: Vocabulary
    mask_classes: tuple[int, ...]


def is_finished(uri: str, made_from: Origin) -> bool:
    """Whether a model made from the same stands there already, undamaged. Needs no torch.

    Raises CheckpointError if a model made from something else does: a training never replaces one.
    """
    if not exists(f"{uri}/manifest.json"):
        return False
    _check_same_origin(f"{uri}: holds a model of", read_model_manifest(uri).made_from, made_from)
    return _damaged_file(uri) is None


def _check_same_origin(what: str, before: Origin, made_from: Origin) -> None:
    if before == made_from:
        return
    different = sorted(name for name in {*before, *made_from} if before.get(name) != made_from.get(name))
    raise CheckpointError(
        f"{what} a training with another {', '.join(different)}; choose another output folder, or delete this one"
    )


def read_model_manifest(uri: str) -> ModelManifest:
    """Raises CheckpointError where no finished model stands."""
    try:
        return msgspec.json.decode(read(f"{uri}/manifest.json"), type=ModelManifest)
    except DataError:
        raise CheckpointError(f"{uri}: no manifest.json, so no finished model; run `maskx train` to make one") from None
    except msgspec.DecodeError as error:
        raise CheckpointError(
            f"{uri}/manifest.json: not a model's manifest ({error}); delete it and train again"
        ) from None


def model_hash(uri: str) -> str:
    """SHA-256 of a model's manifest, which holds the hashes of all its files."""
    read_model_manifest(uri)
    return hashlib.sha256(read(f"{uri}/manifest.json")).hexdigest()


def save_model(uri: str, loaded: LoadedModel, made_from: Origin, metrics: bytes = b"") -> None:
    """Write a whole model folder; `metrics` are the lines of its training's `metrics.jsonl`."""
    from safetensors.torch import save

    remove(f"{uri}/manifest.json")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in loaded.model.state_dict().items()}
    write(f"{uri}/model.safetensors", save(state))
    description = _Description(loaded.config, loaded.mask_classes)
    write(f"{uri}/config.json", msgspec.json.format(msgspec.json.encode(description), indent=1) + b"\n")
    write_vocabulary(f"{uri}/vocabulary.json", loaded.vocabulary)
    write(f"{uri}/metrics.jsonl", metrics)
    names = ("config.json", "metrics.jsonl", "model.safetensors", "vocabulary.json")
    manifest = ModelManifest(made_from, {name: sha256(f"{uri}/{name}") for name in names})
    write(f"{uri}/manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def load_model(uri: str, device: str | None = None) -> LoadedModel:
    """A finished model, in eval mode on `device` (None: a GPU if there is one).

    Raises CheckpointError for one that is missing or damaged.
    """
    import torch

    from maskx_model.detector import build_detector
    from maskx_model.device import resolve_device
    from maskx_model.maskx_rcnn import MaskXRCNN

    if damaged := _damaged_file(uri):
        raise CheckpointError(f"{uri}/{damaged}: missing or changed since the model was saved; train it again")
    try:
        description = msgspec.json.decode(read(f"{uri}/config.json"), type=_Description)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{uri}/config.json: written by another version of maskx ({error})") from None
    vocabulary = read_vocabulary(f"{uri}/vocabulary.json")
    config = description.model
    model: nn.Module = (
        build_detector(config.detector, len(vocabulary), load_weights=False)
        if config.mask is None
        else MaskXRCNN(config, len(vocabulary))
    )
    try:
        model.load_state_dict(load_tensors(f"{uri}/model.safetensors"))
    except RuntimeError as error:
        raise CheckpointError(
            f"{uri}: the weights do not fit config.json and the {len(vocabulary)} classes of vocabulary.json "
            f"({str(error)[:200]} …); train it again"
        ) from None
    model.to(resolve_device(device)).to(memory_format=torch.channels_last)
    return LoadedModel(model.eval(), config, vocabulary, description.mask_classes)


def _damaged_file(uri: str) -> str | None:
    for name, expected in read_model_manifest(uri).files.items():
        if not exists(f"{uri}/{name}") or sha256(f"{uri}/{name}") != expected:
            return name
    return None


def load_tensors(uri: str) -> "dict[str, Tensor]":
    """All tensors of a safetensors file; raises CheckpointError if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(local_copy(uri))
    except (SafetensorError, FileNotFoundError, DataError) as error:
        raise CheckpointError(f"{uri}: not a readable safetensors file ({error})") from None
    return tensors


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
    _check_same_origin(f"{newest}: belongs to", header.made_from, made_from)
    return TrainingState(header.step, load_tensors(f"{newest}/state.safetensors"), metrics)
