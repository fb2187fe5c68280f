"""RoI heads whose cost hardly depends on the number of classes: class-specific boxes only where they are needed.

torchvision regresses four numbers for every (RoI, class) pair. In training only a positive's own class has a target
(`box_regression.py`); at inference few pairs score above the threshold (`detections.py`). The rest is neither
computed nor stored here, with the same losses, gradients and detections.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.roi_heads import RoIHeads

from maskx_model.model.box_regression import box_deltas, regression_loss
from maskx_model.model.classification_loss import ClassificationLoss, softmax_loss
from maskx_model.model.crowds import BACKGROUND, CROWD_LABEL, IGNORED, inside_crowd
from maskx_model.model.detections import select_detections
from maskx_model.model.sampling import ImageSampler
from maskx_model.model.synced_batch_norm import has_synced_batch_norm

ROIS_AT_ONCE = 500
"""RoIs whose vectors are computed together: their features are 25 MB, which the allocator reuses."""


class MatchedRois(NamedTuple):
    """For each image: RoIs xyxy [P, 4] in the network's pixels, the object that each was matched to, int64 [P], and
    its label, int64 [P] (0 is background)."""

    rois: list[Tensor]
    matched: list[Tensor]
    labels: list[Tensor]


class SparseRoIHeads(RoIHeads):
    """torchvision's box heads; proposals inside a crowd are ignored, and boxes regressed only for pairs that count."""

    fg_bg_sampler: BalancedPositiveNegativeSampler

    def __init__(self, *layers: Any, **settings: Any) -> None:
        """Takes what torchvision's takes."""
        super().__init__(*layers, **settings)
        given = self.fg_bg_sampler
        self.fg_bg_sampler = ImageSampler(given.batch_size_per_image, given.positive_fraction)

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Returns what torchvision's returns, but for the losses where crowds leave no RoI to train on
        (`training_step`). Raises ValueError in training mode without targets."""
        if not self.training:
            groups = in_groups(proposals, ROIS_AT_ONCE)
            vectors = torch.cat([self.box_head(self.box_roi_pool(features, group, image_shapes)) for group in groups])
            return self.detections(vectors, proposals, image_shapes), {}
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
        """Samples RoIs from proposals and ground-truth boxes, and returns them with the two losses, means over RoIs.
        With fewer than two RoIs the losses are 0 with a graph, as batch norm cannot train on one; where processes share
        the batch norm's batch, only without any RoI."""
        # torchvision's order: the sampled boxes, the objects they match, their labels, and the box targets.
        boxes, matched, labels, box_targets = self.select_training_samples(proposals, targets)
        sampled = MatchedRois(boxes, matched, labels)
        shared = has_synced_batch_norm(self.box_head)
        if sum(map(len, boxes)) < 2 and not shared:  # batch norm cannot train on a single RoI either
            return sampled, self._losses_of_nothing()
        vectors = self.box_head(self.box_roi_pool(features, boxes, image_shapes))
        if len(vectors) == 0:
            return sampled, {name: loss + vectors.sum() * 0 for name, loss in self._losses_of_nothing().items()}
        classification = classification_loss(self.box_predictor.cls_score, vectors, labels, targets)
        regression = regression_loss(self.box_predictor, vectors, torch.cat(labels), torch.cat(list(box_targets)))
        return sampled, {"loss_classifier": classification, "loss_box_reg": regression}

    def _losses_of_nothing(self) -> dict[str, Tensor]:
        zero = torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0
        return {"loss_classifier": zero, "loss_box_reg": zero}

    def detections(
        self, vectors: Tensor, proposals: list[Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Box head vectors [P, D] of the proposals of all images, proposals xyxy [P_i, 4] and (height, width) of each
        image → for each image boxes xyxy [N, 4], scores [N] by falling score and labels int64 [N]."""
        logits = self.box_predictor.cls_score(vectors).float()
        counts = [len(boxes) for boxes in proposals]
        images = zip(logits.split(counts), vectors.split(counts), proposals, image_shapes, strict=True)
        return [
            select_detections(
                self, own_logits, partial(box_deltas, self.box_predictor, own_vectors), boxes, shape
            )._asdict()
            for own_logits, own_vectors, boxes, shape in images
        ]

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Returns for each image the index of the box that each proposal matches, int64 [P], and its label, int64 [P]:
        0 for background, -1 for proposals inside a crowd, which are ignored."""
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


def in_groups(boxes: Sequence[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Yields boxes [P_i, 4] of the images in groups of `size`, in order: for each image the boxes that are in the
    group. Yields one empty group where there are no boxes."""
    starts = list(accumulate(map(len, boxes), initial=0))
    for first in range(0, max(starts[-1], 1), size):
        yield [
            each[max(first - start, 0) : max(first + size - start, 0)]
            for each, start in zip(boxes, starts[:-1], strict=True)
        ]
