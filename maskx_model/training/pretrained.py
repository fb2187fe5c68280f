"""torchvision's COCO models as ours: imported as they are where COCO has all classes, else the start of a training."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from data_prep.format.reader import Dataset
from data_prep.storage.storage import sha256
from maskx_model.artifacts.model_folder import LoadedModel, model_hash, save_model
from maskx_model.artifacts.origin import Origin
from maskx_model.config import ModelConfig
from maskx_model.run_config import RunConfig
from maskx_model.training.metric_sink import NOBODY, Observers
from maskx_model.training.provenance import finished, settings_hash
from maskx_model.training.stages import PretrainedDetector, PretrainedFeatures, train_detector
from maskx_model.training.trained_detector import load_detector

logger = logging.getLogger(__name__)


def import_detector(
    dataset: str,
    weights: str,
    out: str,
    preset: RunConfig,
    device: str | None = None,
    observers: Observers = NOBODY,
) -> None:
    """Stage 1 from torchvision's COCO detector. If all of the dataset's classes are COCO's, it is cut to them and not
    trained. Else training starts from it: COCO's classes with their rows, the others, which are counted, with new ones.

    `weights`: a file with the state dict of torchvision's `fasterrcnn_resnet50_fpn` or `maskrcnn_resnet50_fpn`, or
    the name of published weights (COCO_V1). Writes a model folder to `out`, or does nothing if it is there. Raises
    ConfigError if the preset's detector has another shape or no class is COCO's, CheckpointError or DataError.
    """
    from maskx_model.artifacts.torchvision_detector import check_shape, coco_ids, load_coco_detector, weights_file

    check_shape(preset)
    vocabulary = Dataset.open(dataset).vocabulary
    categories = coco_ids(vocabulary)
    file = weights_file(weights)
    load = partial(load_coco_detector, file, preset.detector, categories)
    if None in categories:
        _log_rows(file, categories)
        start = PretrainedDetector(load, sha256(file))
        train_detector(dataset, out, preset, device=device, start=start, observers=observers)
        return
    made_from: Origin = {
        "weights": sha256(file),
        "vocabulary": vocabulary.hash,
        "settings": settings_hash(preset.detector, categories),
    }
    if finished(out, made_from):
        return
    save_model(out, LoadedModel(load(), ModelConfig(preset.detector), vocabulary, ()), made_from)
    logger.info(
        "%s: torchvision's detector as it is, as all %d classes are COCO's; it was not trained on %s. To train on "
        "that, leave out --pretrained and begin with ImageNet weights, or, with masks, give `maskx train joint` "
        "--detector %s",
        out,
        len(categories),
        dataset,
        out,
    )


def is_taken_over(dataset: str) -> bool:
    """Whether `import_detector` trains nothing on the dataset, as all of its classes are COCO's; raises ConfigError if
    none is."""
    from maskx_model.artifacts.torchvision_detector import coco_ids

    return None not in coco_ids(Dataset.open(dataset).vocabulary)


def pretrained_features(weights: str, preset: RunConfig) -> PretrainedFeatures:
    """The mask features of torchvision's Mask R-CNN to begin stage 2 with. They have seen masks of all 80 classes.

    `weights`: a file with the state dict of `maskrcnn_resnet50_fpn`, or COCO_V1. Raises ConfigError if the preset's
    mask branch has another shape, CheckpointError when they are loaded from another model's file.
    """
    from maskx_model.artifacts.torchvision_masks import check_mask_shape, load_coco_features, masks_file

    check_mask_shape(preset.mask)
    file = masks_file(weights)
    return PretrainedFeatures(partial(load_coco_features, file), sha256(file))


def import_masks(dataset: str, detector: str, weights: str, out: str, preset: RunConfig) -> None:
    """Stage 2 without training: the mask branch of torchvision's Mask R-CNN, with weights of each class, on the
    detector that was taken from the same file. Classes that COCO lacks keep their initial weights, and are counted.

    Writes a model folder to `out` whose A is COCO's classes, or does nothing if it is there. Raises ConfigError if the
    preset's mask branch is not torchvision's, CheckpointError if file or detector are others.
    """
    from maskx_model.artifacts.torchvision_detector import coco_ids
    from maskx_model.artifacts.torchvision_masks import check_mask_shape, load_coco_masks, masks_file

    config = ModelConfig(preset.detector, replace(preset.mask, kind="class_specific"))
    assert config.mask is not None
    check_mask_shape(config.mask)
    data = Dataset.open(dataset)
    categories = coco_ids(data.vocabulary)
    file = masks_file(weights)
    made_from: Origin = {
        "weights": sha256(file),
        "vocabulary": data.vocabulary.hash,
        "settings": settings_hash(config, categories),
        "detector": model_hash(detector),
    }
    if finished(out, made_from):
        return
    import torch
    from torchvision.models.detection import FasterRCNN

    from maskx_model.model.maskx_rcnn import MaskXRCNN

    own = load_detector(detector, data, preset, device="cpu").model
    assert isinstance(own, FasterRCNN)
    torch.manual_seed(0)
    model = MaskXRCNN(config, len(data.vocabulary), own)
    load_coco_masks(file, model.mask_branch, own, categories)
    if None in categories:
        _log_rows(file, categories)
    classes = tuple(i for i, category in enumerate(categories) if category is not None)
    save_model(out, LoadedModel(model, config, data.vocabulary, classes), made_from)


def _log_rows(file: Path, categories: Sequence[int | None]) -> None:
    others = sum(category is None for category in categories)
    logger.info(
        "%s: %d of the %d classes are COCO's and take its rows; the other %d begin with new ones",
        file,
        len(categories) - others,
        len(categories),
        others,
    )
