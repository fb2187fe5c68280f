"""Masks on predicted boxes and on ground-truth boxes: what models find in the images they are measured on.

Models that have a common frozen detector (§3.2) have equal boxes, scores and features, so only their masks differ: the
detector runs once for all of them.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from maskx_model.data.samples import to_tensor
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.model.detector import inference_settings
from maskx_model.model.maskx_rcnn import Encoded, MaskXRCNN
from maskx_model.results.instances import Instances
from maskx_model.results.predict import segment_boxes, to_instances

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictions:
    """What one model predicts. `on_predicted_boxes[i]`: in image i, with the model's own boxes.
    `on_ground_truth_boxes[i]`: its masks for that image's ground-truth boxes of the right class, without crowds and
    objects that have no mask, every score 1; empty where only boxes are predicted."""

    on_predicted_boxes: list[Instances]
    on_ground_truth_boxes: list[Instances]


def predict(
    images: Iterable[tuple[npt.NDArray[np.uint8], GroundTruth]],
    models: Mapping[str, MaskXRCNN],
    only_verified: bool = False,
) -> dict[str, Predictions]:
    """Run every model on every image, uint8[H, W, 3] RGB, by both protocols. `only_verified`: predictions of
    classes that are neither annotated nor known to be absent in an image are dropped before they are segmented."""
    predictions = {kind: Predictions([], []) for kind in models}
    leaders = _leaders({kind: model.detector for kind, model in models.items()})
    for image, ground_truth in images:
        tensor = to_tensor(image, next(next(iter(models.values())).parameters()).device)
        boxes, labels = ground_truth_boxes(ground_truth)
        seen: dict[str, tuple[Encoded, dict[str, Tensor]]] = {}
        for kind, model in models.items():
            if leaders[kind] == kind:
                encoded = model.encode([tensor])
                seen[kind] = encoded, _counted(model.detect(encoded)[0], ground_truth, only_verified)
            encoded, detected = seen[leaders[kind]]
            annotated = {"boxes": boxes.to(tensor), "labels": labels.to(tensor.device) + 1}
            annotated["scores"] = torch.ones(len(boxes))
            predictions[kind].on_predicted_boxes.append(segment_boxes(model, encoded, detected))
            predictions[kind].on_ground_truth_boxes.append(segment_boxes(model, encoded, annotated))
    return predictions


@torch.no_grad()
def predict_boxes(
    images: Iterable[tuple[npt.NDArray[np.uint8], GroundTruth]],
    detectors: Mapping[str, FasterRCNN],
    only_verified: bool = False,
) -> dict[str, Predictions]:
    """As `predict`, but boxes alone: the instances have no masks."""
    predictions = {kind: Predictions([], []) for kind in detectors}
    leaders = _leaders(detectors)
    for image, ground_truth in images:
        tensor = to_tensor(image, next(next(iter(detectors.values())).parameters()).device)
        seen: dict[str, Instances] = {}
        for kind, detector in detectors.items():
            if leaders[kind] == kind:
                seen[kind] = to_instances(_counted(detector([tensor])[0], ground_truth, only_verified), [])
            predictions[kind].on_predicted_boxes.append(seen[leaders[kind]])
    return predictions


@torch.no_grad()
def predict_grabcut(
    images: Iterable[tuple[npt.NDArray[np.uint8], GroundTruth]],
    detectors: Mapping[str, FasterRCNN],
    only_verified: bool = False,
) -> dict[str, Predictions]:
    """As `predict`, but masks are GrabCut's (Table 2), or the box where it has none: the log says how often."""
    from maskx_model.masks.grabcut import grabcut_masks

    predictions = {kind: Predictions([], []) for kind in detectors}
    count = filled = 0
    for image, ground_truth in images:
        boxes, labels = ground_truth_boxes(ground_truth)
        annotated = {"boxes": boxes, "labels": labels + 1, "scores": torch.ones(len(boxes))}
        for kind, detector in detectors.items():
            tensor = to_tensor(image, next(detector.parameters()).device)
            detected = _counted(detector([tensor])[0], ground_truth, only_verified)
            for each, instances in (
                (detected, predictions[kind].on_predicted_boxes),
                (annotated, predictions[kind].on_ground_truth_boxes),
            ):
                masks = grabcut_masks(image, each["boxes"].cpu().numpy())
                instances.append(to_instances(each, masks.masks))
                count, filled = count + len(masks.masks), filled + masks.filled
    logger.info("GrabCut found no foreground in %d of %d boxes: their masks are the boxes", filled, count)
    return predictions


def ground_truth_boxes(ground_truth: GroundTruth) -> tuple[Tensor, Tensor]:
    """Boxes xyxy float32[N, 4], clipped to the image, and labels int64[N] (0-based) of its objects with masks."""
    boxes, labels = [], []
    for label, thing in zip(ground_truth.labels, ground_truth.objects, strict=True):
        x, y, width, height = thing.bbox
        box = (max(x, 0.0), max(y, 0.0), min(x + width, ground_truth.width), min(y + height, ground_truth.height))
        if not thing.iscrowd and thing.mask is not None and box[0] < box[2] and box[1] < box[3]:
            boxes.append(box)
            labels.append(label)
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64)


def _counted(detected: dict[str, Tensor], ground_truth: GroundTruth, only_verified: bool) -> dict[str, Tensor]:
    if not only_verified:
        return detected
    labels = detected["labels"]
    kept = torch.isin(labels, torch.tensor(sorted(ground_truth.verified), dtype=torch.int64, device=labels.device) + 1)
    return {name: values[kept] for name, values in detected.items()}


def _leaders(detectors: Mapping[str, FasterRCNN]) -> dict[str, str]:
    """For each model the first one that has the same detector: equal settings, and weights equal number for number."""
    leaders: dict[str, str] = {}
    for kind, detector in detectors.items():
        leaders[kind] = next((first for first in leaders if _equal(detectors[first], detector)), kind)
    return leaders


def _equal(one: FasterRCNN, other: FasterRCNN) -> bool:
    if inference_settings(one) != inference_settings(other):
        return False
    weights, others = one.state_dict(), other.state_dict()
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)
