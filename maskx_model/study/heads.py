"""Mask heads on a frozen detector: trained on its cached RoIs, measured on its cached boxes."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from maskx_model.evaluation.coco_ap import METRICS, average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.results.instances import Instances
from maskx_model.study.box_features import BoxFeatures, BoxKind
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.rows import ClassAP
from maskx_model.study.variants import Variant
from maskx_model.training.learning_rate import choose_learning_rate
from maskx_model.training.roi_cache import CachedRois
from maskx_model.training.roi_sampling import RoiBatch
from maskx_model.training.session import Session

BOXES_AT_ONCE = 32
"""Boxes whose masks are computed together: the features of 32 stay in a CPU's cache, 1.5 times as fast as 256."""


def train_head(
    frozen: FrozenDetector, variant: Variant, classes: Collection[int], seed: int, quiet: bool = False
) -> MaskXRCNN:
    """The variant trained on masks of those classes alone: the preset's steps, optimizer and first learning rate, its
    `rois_per_batch` of cached RoIs a step. `quiet`: without a progress bar.

    Cached RoIs are not flipped, and of `proposals` each object has its ground-truth box and `cached_proposals` others,
    where a preset without `cache_rois` draws as the detector does.
    """
    rois = of_classes(frozen.training_rois(variant.rois), classes)
    schedule = replace(frozen.preset.stage2, learning_rates=frozen.preset.stage2.learning_rates[:1])

    def new_model() -> MaskXRCNN:
        return frozen.new_model(variant.mask, seed).train()

    batches, session = CachedRois(rois, schedule, seed), Session(quiet=quiet)
    return choose_learning_rate(new_model, batches, None, schedule, seed, session)[0]


def of_classes(rois: RoiBatch, classes: Collection[int]) -> RoiBatch:
    """The RoIs whose class (a position in the vocabulary) is among those."""
    wanted = torch.tensor(sorted(classes)) + 1
    return rois.select(torch.isin(rois.labels, wanted).nonzero()[:, 0])


def head_predictions(
    frozen: FrozenDetector, model: MaskXRCNN, kind: BoxKind, classes: Sequence[int]
) -> list[Instances]:
    """What the model predicts of those classes in each measured image, on `predicted` or `ground_truth` boxes."""
    predictions: list[Instances] = []
    for part in frozen.measured_images:
        boxes = part.boxes(kind).of_classes(classes)
        predictions += part.instances(boxes, mask_probabilities(model, boxes))
    return predictions


@torch.no_grad()
def mask_probabilities(model: MaskXRCNN, boxes: BoxFeatures) -> Tensor:
    """Masks of those boxes, float32 [N, 28, 28] in 0..1."""
    w_seg = model.w_seg()
    parts = [
        model.mask_branch.logits(features.float().to(w_seg), w_seg[labels.to(w_seg.device)]).sigmoid().cpu()
        for features, labels in zip(boxes.features.split(BOXES_AT_ONCE), boxes.labels.split(BOXES_AT_ONCE), strict=True)
    ]
    return torch.cat(parts)


def head_ap(frozen: FrozenDetector, model: MaskXRCNN, kind: BoxKind, classes: Sequence[int]) -> ClassAP:
    """Mask AP of those of the measured classes, on `predicted` or `ground_truth` boxes."""
    return mask_ap(frozen.ground_truth, head_predictions(frozen, model, kind, classes), classes)


def mask_ap(ground_truth: Sequence[GroundTruth], predictions: Sequence[Instances], classes: Sequence[int]) -> ClassAP:
    """Mask AP of each of those classes that has an object."""
    table = average_precision(ground_truth, predictions, "segm", classes)
    return {label: ap for label, ap in table.by_class().items() if ap is not None}


def box_ap50(frozen: FrozenDetector) -> ClassAP:
    """Box AP at IoU 0.5 of every class that the source annotates exhaustively: no mask takes part in it."""
    detections = [each for part in frozen.measured_images for each in part.instances(part.boxes("all"), None)]
    table = average_precision(frozen.ground_truth, detections, "bbox", tuple(frozen.exhaustive.values()))
    at_half = table.values[:, METRICS.index("AP50")].tolist()
    return {label: ap for label, ap in zip(table.classes, at_half, strict=True) if not math.isnan(ap)}
