"""What each stage trains (§3.2): the detector on all boxes, then the mask branch on the masks of A."""

import hashlib
import sys
from dataclasses import replace

import msgspec

from data_prep.format.errors import CheckpointError
from data_prep.format.manifest import manifest_uri
from data_prep.format.reader import Dataset
from data_prep.format.storage import sha256
from maskx_model.checkpoint import LoadedModel, Origin, is_finished, load_model, model_hash, save_model
from maskx_model.config import MaskKind, ModelConfig
from maskx_model.mask_classes import resolve_mask_classes
from maskx_model.presets import Preset


def train_detector(dataset: str, out: str, preset: Preset, seed: int = 0, device: str | None = None) -> None:
    """Stage 1: a Faster R-CNN on the boxes of every class in the dataset's vocabulary.

    Writes a model folder to `out`; goes on from its checkpoint if there is one; does nothing if it is finished.
    Raises DataError, CheckpointError or ConfigError.
    """
    data = Dataset.open(dataset)
    made_from = _origin(data, preset.detector, preset.stage1, preset.stage1_source, seed)
    if _finished(out, made_from):
        return
    from maskx_model.detector_training import fit_detector

    model, metrics = fit_detector(data, preset, seed, device, out, made_from)
    save_model(out, LoadedModel(model, ModelConfig(preset.detector), data.vocabulary, ()), made_from, metrics)


def import_detector(dataset: str, weights: str, out: str, preset: Preset) -> None:
    """Stage 1 without training: torchvision's COCO detector, cut to the classes of a dataset of COCO's.

    `weights`: a file with the state dict of torchvision's `fasterrcnn_resnet50_fpn` or `maskrcnn_resnet50_fpn`, or
    the name of published weights (COCO_V1). Writes a model folder to `out`, or does nothing if it is there. Raises
    ConfigError if the preset's detector has another shape or a class is not COCO's, CheckpointError or DataError.
    """
    from maskx_model.torchvision_weights import check_shape, coco_ids, load_coco_detector, weights_file

    check_shape(preset)
    vocabulary = Dataset.open(dataset).vocabulary
    categories = coco_ids(vocabulary)
    file = weights_file(weights)
    made_from: Origin = {
        "weights": sha256(file),
        "vocabulary": vocabulary.hash,
        "settings": _hash(preset.detector, categories),
    }
    if _finished(out, made_from):
        return
    model = load_coco_detector(file, preset.detector, categories)
    save_model(out, LoadedModel(model, ModelConfig(preset.detector), vocabulary, ()), made_from)


def train_masks(
    dataset: str,
    detector: str,
    out: str,
    preset: Preset,
    kind: MaskKind = "transfer",
    mask_classes: str | None = None,
    seed: int = 0,
    device: str | None = None,
) -> None:
    """Stage 2: a mask branch on the frozen detector, from the masks of A (`mask_classes`, the preset's by default).

    Writes a model folder with detector and mask branch. Raises CheckpointError if the detector knows other classes
    than the dataset, DataError or ConfigError.
    """
    data = Dataset.open(dataset)
    config = ModelConfig(preset.detector, replace(preset.mask, kind=kind))
    classes = resolve_mask_classes(mask_classes or preset.mask_classes, data.vocabulary, preset.stage2_source)
    made_from = _origin(data, config, preset.stage2, preset.stage2_source, seed)
    made_from |= {"detector": model_hash(detector), "mask_classes": ",".join(map(str, classes))}
    if _finished(out, made_from):
        return
    from maskx_model.mask_training import fit_masks

    trained = load_model(detector, device)
    if trained.config.mask is not None:
        raise CheckpointError(f"{detector}: holds a mask branch already; name the detector of stage 1")
    if trained.vocabulary.hash != data.vocabulary.hash:
        raise CheckpointError(
            f"{detector}: was trained on another vocabulary ({len(trained.vocabulary)} classes) than "
            f"{dataset} has ({len(data.vocabulary)}); train the detector on this dataset"
        )
    if trained.config.detector != preset.detector:
        raise CheckpointError(
            f"{detector}: its model is not that of preset {preset.name}; choose the one it was trained with"
        )
    model, metrics = fit_masks(data, trained, config, classes, preset, seed, out, made_from)
    save_model(out, LoadedModel(model, config, data.vocabulary, classes), made_from, metrics)


def _origin(data: Dataset, config: object, schedule: object, source: str, seed: int) -> Origin:
    return {
        "dataset": sha256(manifest_uri(data.uri)),
        "vocabulary": data.vocabulary.hash,
        "source": source,
        "settings": _hash(config, schedule),
        "seed": seed,
    }


def _hash(*settings: object) -> str:
    return hashlib.sha256(msgspec.json.encode(settings)).hexdigest()


def _finished(out: str, made_from: Origin) -> bool:
    if not is_finished(out, made_from):
        return False
    print(f"{out}: finished already, nothing to do", file=sys.stderr)
    return True
