"""RoI heads whose cost hardly depends on the number of classes: class-specific boxes only where they are looked at.

torchvision regresses four numbers for every (RoI, class) pair, and decodes them all before it looks at the scores. In
training only a positive's own class has a target; at inference few pairs score above the threshold. The rest is
neither computed nor stored here, with the same losses, gradients and detections.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes
from torchvision.ops.boxes import _batched_nms_vanilla

from maskx_model.model.classification_loss import ClassificationLoss, softmax_loss
from maskx_model.model.crowds import BACKGROUND, CROWD_LABEL, IGNORED, inside_crowd

PAIRS_AT_ONCE = 2048
"""(RoI, class) pairs regressed together: bounds the memory of their gathered weights (16 kB each at 1024 numbers)."""

ROIS_AT_ONCE = 500
"""RoIs whose vectors are made together: their features are 25 MB, which the allocator keeps and hands out again."""

LOGIT_SLACK = 1e-3
"""More than rounding can make of a difference of logits."""

COARSE_THRESHOLDS = (0.05, 0.005, 0.0005)
"""A detector that is to give what scores 0.0001 lets through a million pairs of an image at 3001 classes, but gives
only so many detections: lower scores are looked at where the higher ones make too few."""

FEWEST_PAIRS, FEWEST_PAIRS_ON_GPU = 4_000, 100_000
"""Four times the boxes above which torchvision takes their NMS class by class: boxes without an area are not among
them."""

Nms = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""Boxes [N, 4], scores [N], labels [N] and IoU threshold → those kept, best first."""

Deltas = Callable[[Tensor, Tensor], Tensor]
"""Box regression of pairs: RoIs and labels, int64 [P] each → [P, 4]."""


def box_deltas(predictor: FastRCNNPredictor, features: Tensor, rois: Tensor, labels: Tensor) -> Tensor:
    """Box regression of (RoI, class) pairs: features [R, D], rois and labels int64 [P] → deltas float32 [P, 4]."""
    weight = predictor.bbox_pred.weight.unflatten(0, (-1, 4))
    bias = predictor.bbox_pred.bias.unflatten(0, (-1, 4))
    pairs = zip(rois.split(PAIRS_AT_ONCE), labels.split(PAIRS_AT_ONCE), strict=True)
    deltas = [torch.baddbmm(bias[own, :, None], weight[own], features[roi, :, None])[..., 0] for roi, own in pairs]
    return torch.cat(deltas).float()  # in bfloat16 boxes would be off by pixels


def regression_loss(predictor: FastRCNNPredictor, features: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Smooth L1 on each positive's own box, a float32 scalar, as torchvision's.

    Features of RoIs [R, D], labels int64 [R] (0 is background), box targets [R, 4].
    """
    positive = (labels > 0).nonzero()[:, 0]
    deltas = box_deltas(predictor, features, positive, labels[positive])
    regression: Tensor = F.smooth_l1_loss(deltas, targets[positive], beta=1 / 9, reduction="sum")
    return regression / labels.numel()


class MatchedRois(NamedTuple):
    """For each image: RoIs xyxy [P, 4] in the network's pixels, which object each was matched to, int64 [P], and
    its label, int64 [P] (0 is background)."""

    rois: list[Tensor]
    matched: list[Tensor]
    labels: list[Tensor]


class SparseRoIHeads(RoIHeads):
    """torchvision's box heads; proposals inside a crowd are ignored, and boxes regressed only for pairs that count."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's, but for the losses where crowds leave no RoI to train on (`training_step`)."""
        if not self.training:
            return self._detect(features, proposals, image_shapes), {}
        if targets is None:
            raise ValueError("targets are needed to train on")
        return [], self.training_step(features, proposals, image_shapes, targets)[1]

    def training_step(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]],
        classification_loss: ClassificationLoss = softmax_loss,
    ) -> tuple[MatchedRois, dict[str, Tensor]]:
        """The RoIs drawn from proposals and ground-truth boxes, and the two losses on them: 0 with a graph where fewer
        than two were left to draw."""
        # torchvision's order: the boxes drawn, the objects they match, their labels, and what to regress.
        boxes, matched, labels, box_targets = self.select_training_samples(proposals, targets)
        if sum(map(len, boxes)) < 2:  # batch norm cannot train on a single RoI either
            zero = torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0
            return MatchedRois(boxes, matched, labels), {"loss_classifier": zero, "loss_box_reg": zero}
        vectors = self.box_head(self.box_roi_pool(features, boxes, image_shapes))
        classification = classification_loss(self.box_predictor.cls_score, vectors, labels, targets)
        regression = regression_loss(self.box_predictor, vectors, torch.cat(labels), torch.cat(list(box_targets)))
        return MatchedRois(boxes, matched, labels), {"loss_classifier": classification, "loss_box_reg": regression}

    def _detect(
        self, features: dict[str, Tensor], proposals: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        groups = in_groups(proposals, ROIS_AT_ONCE)
        vectors = torch.cat([self.box_head(self.box_roi_pool(features, group, image_shapes)) for group in groups])
        logits = self.box_predictor.cls_score(vectors).float()
        counts = [len(boxes) for boxes in proposals]
        found = []
        images = zip(logits.split(counts), vectors.split(counts), proposals, image_shapes, strict=True)
        for image_logits, image_vectors, image_proposals, shape in images:
            deltas = partial(box_deltas, self.box_predictor, image_vectors)
            found.append(self._detections(image_logits, deltas, image_proposals, shape))
        return [{"boxes": boxes, "scores": kept, "labels": labels} for boxes, kept, labels in found]

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each image: the index of the box that each proposal matches, int64 [P], and its label, int64 [P]."""
        objects = [labels > 0 for labels in gt_labels]
        matched, labels = super().assign_targets_to_proposals(
            proposals,
            [boxes[keep] for boxes, keep in zip(gt_boxes, objects, strict=True)],
            [labels[keep] for labels, keep in zip(gt_labels, objects, strict=True)],
        )
        for i, keep in enumerate(objects):
            if keep.any():
                matched[i] = keep.nonzero()[:, 0][matched[i]]
            crowds = gt_boxes[i][gt_labels[i] == CROWD_LABEL]
            labels[i][(labels[i] == BACKGROUND) & inside_crowd(proposals[i], crowds)] = IGNORED
        return matched, labels

    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: list[Tensor],
        image_shapes: Sequence[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """As torchvision's, with equal results: boxes xyxy [N, 4], scores [N] and labels [N] for each image.

        Only (proposal, class) pairs above the score threshold are decoded, and the softmax is of the proposals that
        may have one: at 3001 classes few of the 3 million pairs of an image are.
        """
        per_image = [len(boxes) for boxes in proposals]
        logits_by_image = class_logits.split(per_image)
        regression_by_image = box_regression.unflatten(1, (-1, 4)).split(per_image)
        results = [
            self._detections(logits, partial(_look_up, regression), boxes, shape)
            for logits, regression, boxes, shape in zip(
                logits_by_image, regression_by_image, proposals, image_shapes, strict=True
            )
        ]
        boxes, scores, labels = zip(*results, strict=True)
        return list(boxes), list(scores), list(labels)

    def _detections(
        self, logits: Tensor, deltas: Deltas, proposals: Tensor, shape: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One image's logits [P, K + 1], `deltas` of given pairs, proposals [P, 4] → boxes, scores and labels."""
        for threshold in self._coarse_thresholds(logits):
            found = self._detections_above(threshold, _batched_nms_vanilla, logits, deltas, proposals, shape)
            if len(found[0]) == self.detections_per_img:
                return found  # no lower score suppresses one of these, or comes before it
        return self._detections_above(self.score_thresh, batched_nms, logits, deltas, proposals, shape)

    def _coarse_thresholds(self, logits: Tensor) -> list[float]:
        """None where torchvision may take the NMS of all classes at once, which shifts each class's boxes out of the
        others' way: how they are rounded then depends on all of them. With more pairs it takes class by class."""
        thresholds = [threshold for threshold in COARSE_THRESHOLDS if threshold > self.score_thresh]
        if not thresholds:
            return []
        pairs = (logits[_candidates(logits, self.score_thresh)].softmax(-1)[:, 1:] > self.score_thresh).sum()
        fewest = FEWEST_PAIRS if logits.device.type == "cpu" else FEWEST_PAIRS_ON_GPU
        return thresholds if pairs > fewest else []

    def _detections_above(
        self, threshold: float, nms: Nms, logits: Tensor, deltas: Deltas, proposals: Tensor, shape: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        candidates = _candidates(logits, threshold)
        scores = logits[candidates].softmax(-1)
        row, column = (scores[:, 1:] > threshold).nonzero(as_tuple=True)
        rois, labels = candidates[row], column + 1
        kept_scores = scores[row, labels]
        boxes = self.box_coder.decode_single(deltas(rois, labels), proposals[rois])
        boxes = clip_boxes_to_image(boxes, shape)
        large = remove_small_boxes(boxes, min_size=1e-2)
        boxes, kept_scores, labels = boxes[large], kept_scores[large], labels[large]
        best = nms(boxes, kept_scores, labels, self.nms_thresh)[: self.detections_per_img]
        return boxes[best], kept_scores[best], labels[best]


def in_groups(boxes: Sequence[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Boxes [P_i, 4] of each image, `size` at a time and in order: what of each image is in the group. One group, an
    empty one, where there are no boxes."""
    starts = list(accumulate(map(len, boxes), initial=0))
    for first in range(0, max(starts[-1], 1), size):
        yield [
            each[max(first - start, 0) : max(first + size - start, 0)]
            for each, start in zip(boxes, starts[:-1], strict=True)
        ]


def _candidates(logits: Tensor, threshold: float) -> Tensor:
    """Rows of logits [P, K + 1] that may score above the threshold in some class, int64: the softmax of the others is
    not needed. No score exceeds exp(its logit - the row's largest)."""
    if len(logits) == 0 or threshold <= 0:
        return torch.arange(len(logits), device=logits.device)
    least = math.log(threshold) - LOGIT_SLACK
    return (logits[:, 1:].amax(1) - logits.amax(1) > least).nonzero()[:, 0]


def _look_up(regression: Tensor, rois: Tensor, labels: Tensor) -> Tensor:
    return regression[rois, labels]
