"""Evaluate models on a dataset: load them, predict on the images of a split, and measure."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError
from maskx_model.artifacts.model_folder import LoadedModel, load_model, read_model_config
from maskx_model.artifacts.origin import Origin
from maskx_model.config import Compute
from maskx_model.evaluation.evaluation_run import EvaluationRun
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import measure
from maskx_model.evaluation.options import EvaluationOptions, MasksFrom
from maskx_model.evaluation.predictions import (
    Predictions,
    ground_truth_boxes,
    predict,
    predict_boxes,
    predict_grabcut,
)
from maskx_model.evaluation.protocols import PROTOCOLS, Protocol
from maskx_model.evaluation.ranks import own_share, shared_predictions
from maskx_model.model.compute import compile_backbone, in_precision_of, resolve_device, threads_of
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.training.distributed import current_world


def evaluate_models(
    data: Dataset, uris: Sequence[str], options: EvaluationOptions, device: str | None, made_from: Origin
) -> EvaluationRun:
    """Load the models, the baseline first, run them on the images, and measure what they predict.

    Ranks that torchrun started share the images, and each measures all. Where no object of these images has a mask that
    a person drew, mask AP is None; only boxes are measured if a model is a detector alone, masks are GrabCut's, or the
    source has none. `device`: by default a GPU where there is one. `made_from` goes into the result. Raises DataError
    for a split or source that cannot be evaluated and for invalid detections, CheckpointError for a model that is
    damaged, has no mask branch where masks are measured, or has other classes.
    """
    protocol, source = PROTOCOLS[options.protocol], options.source
    labels = protocol.classes(data, source)
    rows = data.select(options.split, source)[: options.max_images]
    ground_truth = [GroundTruth.of(data.read_record(row), source, labels) for row in rows]
    masks = options.masks if _has_drawn_masks(ground_truth) or _may_have_masks(data, uris, options) else None
    device, world = resolve_device(device), current_world()
    models = _load(data, uris, device, masks)
    own = own_share(rows, world)
    progress = tqdm(map(data.pixels, own), "evaluate", len(own), unit="image", mininterval=1, disable=world.rank > 0)
    images = zip(progress, own_share(ground_truth, world), strict=True)
    with threads_of(options.compute), in_precision_of(options.compute, device):
        predictions = _predict(images, models, protocol, masks, options.compute)
    predictions = shared_predictions(predictions, len(rows), world)
    mask_classes = frozenset(next(reversed(models.values())).mask_classes)
    result = measure(
        ground_truth,
        predictions,
        set(labels.values()),
        mask_classes,
        data.vocabulary.names,
        made_from,
        protocol=options.protocol,
        bins=protocol.bins(data, source, labels),
        masks=masks is not None,
    )
    return EvaluationRun(data, rows, ground_truth, predictions, mask_classes, result)


def _has_drawn_masks(ground_truth: Iterable[GroundTruth]) -> bool:
    return any(len(ground_truth_boxes(image)[1]) for image in ground_truth)


def _may_have_masks(data: Dataset, uris: Sequence[str], options: EvaluationOptions) -> bool:
    """Whether the models segment classes of a source that has masks in other images: they were not measured, then."""
    if options.masks != "model" or any(read_model_config(uri).mask is None for uri in uris):
        return False
    return any(own.masks > 0 for c in data.vocabulary.classes if (own := c.sources.get(options.source)))


def _load(data: Dataset, uris: Sequence[str], device: str | None, masks: MasksFrom | None) -> dict[str, LoadedModel]:
    models: dict[str, LoadedModel] = {}
    for uri in uris:
        loaded = load_model(uri, device)
        if masks == "model" and loaded.config.mask is None:
            raise CheckpointError(f"{uri}: a detector without masks; run `maskx train masks` on it first")
        if loaded.vocabulary.hash != data.vocabulary.hash:
            raise CheckpointError(
                f"{uri}: was trained on another vocabulary ({len(loaded.vocabulary)} classes) than {data.uri} has "
                f"({len(data.vocabulary)}); evaluate it on the dataset it was trained on"
            )
        kind: str = "detector" if loaded.config.mask is None else loaded.config.mask.kind
        kind = "grabcut" if masks == "grabcut" else kind
        for other_kind, other in models.items():
            if kind == other_kind:
                raise CheckpointError(f"{uri}: model and baseline are both {kind}; choose a baseline of another kind")
            if loaded.config.mask and other.config.mask and loaded.mask_classes != other.mask_classes:
                raise CheckpointError(
                    f"{uri}: model and baseline were trained with masks of different classes; choose two with the same"
                )
        models[kind] = loaded
    return models


def _predict(
    images: Iterable[tuple[npt.NDArray[np.uint8], GroundTruth]],
    models: Mapping[str, LoadedModel],
    protocol: Protocol,
    masks: MasksFrom | None,
    compute: Compute,
) -> dict[str, Predictions]:
    whole = {kind: each.model for kind, each in models.items() if isinstance(each.model, MaskXRCNN)}
    detectors = {kind: whole[kind].detector if kind in whole else each.model for kind, each in models.items()}
    for detector in detectors.values():
        protocol.configure(detector)
        compile_backbone(detector, compute)
    if masks == "grabcut":
        return predict_grabcut(images, detectors, only_verified=protocol.federated)
    if masks == "model":
        return predict(images, whole, only_verified=protocol.federated)
    return predict_boxes(images, detectors, only_verified=protocol.federated)
