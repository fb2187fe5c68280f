"""From class logits to the detections of one image: boxes are regressed only for pairs that score enough.

torchvision regresses and decodes four numbers for every (RoI, class) pair before it looks at the scores. Few of the
3 million pairs that an image has at 3001 classes score above the threshold. Here only those are decoded, and the
softmax is computed only for RoIs that may have one. The detections are torchvision's.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes
from torchvision.ops.boxes import _batched_nms_vanilla

LOGIT_SLACK = 1e-3
"""More than rounding can change a difference of logits."""

COARSE_THRESHOLDS = (0.05, 0.005, 0.0005)
"""Score thresholds that are tried first. A detector with the threshold 0.0001 has a million pairs of an image at 3001
classes, but returns only `detections_per_img`: lower scores are needed only where the higher ones give too few."""

FEWEST_PAIRS, FEWEST_PAIRS_ON_GPU = 4_000, 100_000
"""Four times the number of boxes above which torchvision's NMS goes class by class: torchvision counts boxes with an
area only."""

Nms = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""Boxes [N, 4], scores [N], labels [N] and IoU threshold → rows that remain, best first."""

Deltas = Callable[[Tensor, Tensor], Tensor]
"""Box regression of pairs: RoIs and labels, int64 [P] each → [P, 4]."""


class Detections(NamedTuple):
    """Detections of one image by falling score: boxes xyxy [N, 4] in the network's pixels, scores [N], labels [N]."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def select_detections(
    heads: RoIHeads, logits: Tensor, deltas: Deltas, proposals: Tensor, shape: tuple[int, int]
) -> Detections:
    """Selects one image's detections by the thresholds, the NMS and the limit of `heads`.

    Logits [P, K + 1], `deltas` of (RoI, class) pairs, proposals xyxy [P, 4], `shape` (height, width) of the image.
    """
    for threshold in _coarse_thresholds(heads, logits):
        found = _above(threshold, _batched_nms_vanilla, heads, logits, deltas, proposals, shape)
        if len(found.boxes) == heads.detections_per_img:
            return found  # no lower score suppresses one of these, or comes before it
    return _above(heads.score_thresh, batched_nms, heads, logits, deltas, proposals, shape)


def _coarse_thresholds(heads: RoIHeads, logits: Tensor) -> list[float]:
    """Returns none where torchvision may run the NMS of all classes at once. It then shifts the boxes of each class
    out of the others' way, and their rounding depends on all of them. With more pairs torchvision goes class by class.
    """
    thresholds = [threshold for threshold in COARSE_THRESHOLDS if threshold > heads.score_thresh]
    if not thresholds:
        return []
    pairs = (logits[_candidates(logits, heads.score_thresh)].softmax(-1)[:, 1:] > heads.score_thresh).sum()
    fewest = FEWEST_PAIRS if logits.device.type == "cpu" else FEWEST_PAIRS_ON_GPU
    return thresholds if pairs > fewest else []


def _above(
    threshold: float,
    nms: Nms,
    heads: RoIHeads,
    logits: Tensor,
    deltas: Deltas,
    proposals: Tensor,
    shape: tuple[int, int],
) -> Detections:
    """Selects the detections among the pairs that score above the threshold."""
    candidates = _candidates(logits, threshold)
    all_scores = logits[candidates].softmax(-1)
    row, column = (all_scores[:, 1:] > threshold).nonzero(as_tuple=True)
    rois, labels = candidates[row], column + 1
    scores = all_scores[row, labels]
    boxes = clip_boxes_to_image(heads.box_coder.decode_single(deltas(rois, labels), proposals[rois]), shape)
    large = remove_small_boxes(boxes, min_size=1e-2)
    boxes, scores, labels = boxes[large], scores[large], labels[large]
    best = nms(boxes, scores, labels, heads.nms_thresh)[: heads.detections_per_img]
    return Detections(boxes[best], scores[best], labels[best])


def _candidates(logits: Tensor, threshold: float) -> Tensor:
    """Returns the rows of logits [P, K + 1] that may score above the threshold in some class, int64. The softmax of
    the other rows is not needed: no score exceeds exp(its logit - the row's largest)."""
    if len(logits) == 0 or threshold <= 0:
        return torch.arange(len(logits), device=logits.device)
    least = math.log(threshold) - LOGIT_SLACK
    return (logits[:, 1:].amax(1) - logits.amax(1) > least).nonzero()[:, 0]
