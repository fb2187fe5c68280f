"""Models and unfinished trainings in storage: safetensors for the weights, JSON for the rest, a manifest last."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from data_prep.format.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from data_prep.storage.errors import JSON_ERRORS, CheckpointError, DataError
from data_prep.storage.own_files import write_own
from data_prep.storage.storage import (
    absolute,
    exists,
    read,
    remove,
    sha256,
    write,
)
from maskx_model.artifacts.origin import Origin, check_same_origin
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import ModelConfig

if TYPE_CHECKING:
    from torch import nn


CALIBRATION = "calibration.json"
"""In a model folder and not in its manifest: what `maskx annotate` learned of the model's certainty later."""


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
    """Whether a model with the same provenance is there already, undamaged. Needs no torch.

    Raises CheckpointError if the model there has another provenance: a training never replaces one.
    """
    if not exists(f"{uri}/manifest.json"):
        return False
    check_same_origin(f"{uri}: holds a model of", read_model_manifest(uri).made_from, made_from)
    return _damaged_file(uri) is None


def holds_model(uri: str) -> bool:
    """Whether any finished model stands there, undamaged. Needs no torch."""
    return exists(f"{uri}/manifest.json") and _damaged_file(uri) is None


def read_model_manifest(uri: str) -> ModelManifest:
    """Raises CheckpointError where no finished model stands."""
    try:
        return msgspec.json.decode(read(f"{uri}/manifest.json"), type=ModelManifest)
    except DataError:
        raise CheckpointError(f"{uri}: no manifest.json, so no finished model; run `maskx train` to make one") from None
    except JSON_ERRORS as error:
        raise CheckpointError(
            f"{uri}/manifest.json: not a model's manifest ({error}); delete it and train again"
        ) from None


def model_name(uri: str) -> str:
    """What people see: a registered model's address, or a folder with the one above it, for many are called alike."""
    return uri if uri.startswith("models:/") else "/".join(absolute(uri).split("/")[-2:])


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
    write_own(f"{uri}/config.json", description)
    write_vocabulary(f"{uri}/vocabulary.json", loaded.vocabulary)
    write(f"{uri}/metrics.jsonl", metrics)
    names = ("config.json", "metrics.jsonl", "model.safetensors", "vocabulary.json")
    manifest = ModelManifest(made_from, {name: sha256(f"{uri}/{name}") for name in names})
    write_own(f"{uri}/manifest.json", manifest)


def read_model_config(uri: str) -> ModelConfig:
    """What a finished model consists of; needs no torch. Raises CheckpointError where there is none."""
    read_model_manifest(uri)
    return _read_description(uri).model


def load_model(uri: str, device: str | None = None) -> LoadedModel:
    """A finished model, in eval mode on `device` (None: a GPU if there is one).

    Raises CheckpointError for one that is missing or damaged.
    """
    import torch

    from maskx_model.model.compute import resolve_device
    from maskx_model.model.detector import build_detector
    from maskx_model.model.maskx_rcnn import MaskXRCNN

    if damaged := _damaged_file(uri):
        raise CheckpointError(f"{uri}/{damaged}: missing or changed since the model was saved; train it again")
    description = _read_description(uri)
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


def _read_description(uri: str) -> _Description:
    try:
        return msgspec.json.decode(read(f"{uri}/config.json"), type=_Description)
    except JSON_ERRORS as error:
        raise CheckpointError(f"{uri}/config.json: written by another version of maskx ({error})") from None


def _damaged_file(uri: str) -> str | None:
    for name, expected in read_model_manifest(uri).files.items():
        if not exists(f"{uri}/{name}") or sha256(f"{uri}/{name}") != expected:
            return name
    return None
