"""Stage 1's model: torchvision's Faster R-CNN with FPN, made to ignore crowds and to decode only what scores."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign, batched_nms, box_area, clip_boxes_to_image, remove_small_boxes

from maskx_model.backbones import build_backbone
from maskx_model.box_heads import BOX_ROI_SIZE, build_box_head
from maskx_model.config import DetectorConfig

CROWD_LABEL = -1
"""In targets: a region of many objects. It is never a positive, and what lies mostly inside it is not background."""
CROWD_IOA = 0.7
BACKGROUND, IGNORED = 0, -1


def build_detector(config: DetectorConfig, num_classes: int, load_weights: bool = True) -> FasterRCNN:
    """Faster R-CNN for `num_classes` foreground classes (label 0 is background).

    `load_weights`: see `build_backbone`.
    """
    backbone = build_backbone(config, load_weights)
    levels = len(config.anchor_sizes)
    names = [str(level) for level in range(levels if config.backbone == "slim" else levels - 1)]
    anchors = AnchorGenerator(tuple((size,) for size in config.anchor_sizes), ((0.5, 1.0, 2.0),) * levels)
    detector = FasterRCNN(
        backbone,
        min_size=config.min_size,
        max_size=config.max_size,
        rpn_anchor_generator=anchors,
        rpn_head=RPNHead(config.fpn_channels, anchors.num_anchors_per_location()[0]),
        box_roi_pool=MultiScaleRoIAlign(names, output_size=BOX_ROI_SIZE, sampling_ratio=2),
        box_head=build_box_head(config),
        box_predictor=FastRCNNPredictor(config.box_dim, num_classes + 1),
        rpn_pre_nms_top_n_train=config.rpn_proposals_train,
        rpn_post_nms_top_n_train=config.rpn_proposals_train,
        rpn_pre_nms_top_n_test=config.rpn_proposals_test,
        rpn_post_nms_top_n_test=config.rpn_proposals_test,
        box_batch_size_per_image=config.rois_per_image,
        box_positive_fraction=config.positive_fraction,
        box_score_thresh=config.score_threshold,
        box_nms_thresh=config.nms_threshold,
        box_detections_per_img=config.detections_per_image,
    )
    # The two parts keep everything that torchvision has set up; only the methods below differ.
    detector.rpn.__class__ = CrowdAwareRPN
    detector.roi_heads.__class__ = SparseRoIHeads
    if config.box_head == "pooled":
        for layer in (detector.roi_heads.box_predictor.cls_score, detector.roi_heads.box_predictor.bbox_pred):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    return detector


def class_weights(detector: FasterRCNN) -> tuple[Tensor, Tensor]:
    """w_cls, [K + 1, D], and w_box, [K + 1, 4 D]: the last layer's rows by label, background's first (§3.1)."""
    predictor = detector.roi_heads.box_predictor
    w_cls: Tensor = predictor.cls_score.weight
    w_box: Tensor = predictor.bbox_pred.weight
    return w_cls, w_box.reshape(len(w_cls), -1)


def inside_crowd(boxes: Tensor, crowds: Tensor) -> Tensor:
    """Which boxes, xyxy [N, 4], have more than 0.7 of their area inside a crowd region, xyxy [M, 4]: bool [N]."""
    if len(crowds) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    top_left = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    inside: Tensor = (intersection / box_area(boxes)[:, None].clamp(min=1e-6)).amax(dim=1) > CROWD_IOA
    return inside


class CrowdAwareRPN(RegionProposalNetwork):
    """torchvision's RPN, whose anchors inside a crowd count neither as background nor as object."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Labels, float32 [A] (1 object, 0 background, -1 ignored), and matched boxes, [A, 4], for each image."""
        objects = [{"boxes": t["boxes"][t["labels"] > 0]} for t in targets]
        labels, matched = super().assign_targets_to_anchors(anchors, objects)
        for image_anchors, image_labels, target in zip(anchors, labels, targets, strict=True):
            crowds = target["boxes"][target["labels"] == CROWD_LABEL]
            image_labels[(image_labels == BACKGROUND) & inside_crowd(image_anchors, crowds)] = IGNORED
        return labels, matched


class SparseRoIHeads(RoIHeads):
    """torchvision's RoI heads; proposals inside a crowd are ignored, and detections are thresholded before decoding."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's, but where crowds leave no RoI to train on the losses are 0 with a graph, not NaN."""
        if self.training and targets is not None and self._all_ignored(proposals, targets):
            zero = torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0
            return [], {"loss_classifier": zero, "loss_box_reg": zero}
        result: tuple[list[dict[str, Tensor]], dict[str, Tensor]] = super().forward(
            features, proposals, image_shapes, targets
        )
        return result

    def _all_ignored(self, proposals: list[Tensor], targets: list[dict[str, Tensor]]) -> bool:
        if not all((t["labels"] == CROWD_LABEL).any() for t in targets):
            return False
        boxes, labels = [t["boxes"] for t in targets], [t["labels"] for t in targets]
        _, found = self.assign_targets_to_proposals(self.add_gt_proposals(proposals, boxes), boxes, labels)
        # Batch norm cannot train on a single RoI either.
        return sum(int((each != IGNORED).sum()) for each in found) < 2

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

        Only (proposal, class) pairs above the score threshold are decoded: at 3001 classes few of the
        3 million pairs of an image are.
        """
        per_image = [len(boxes) for boxes in proposals]
        scores_by_image = class_logits.softmax(-1).split(per_image)
        regression_by_image = box_regression.unflatten(1, (-1, 4)).split(per_image)
        results = [
            self._detections(*image)
            for image in zip(scores_by_image, regression_by_image, proposals, image_shapes, strict=True)
        ]
        boxes, scores, labels = zip(*results, strict=True)
        return list(boxes), list(scores), list(labels)

    def _detections(
        self, scores: Tensor, regression: Tensor, proposals: Tensor, shape: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        roi, column = (scores[:, 1:] > self.score_thresh).nonzero(as_tuple=True)
        labels = column + 1
        kept_scores = scores[roi, labels]
        boxes = self.box_coder.decode_single(regression[roi, labels], proposals[roi])
        boxes = clip_boxes_to_image(boxes, shape)
        large = remove_small_boxes(boxes, min_size=1e-2)
        boxes, kept_scores, labels = boxes[large], kept_scores[large], labels[large]
        best = batched_nms(boxes, kept_scores, labels, self.nms_thresh)[: self.detections_per_img]
        return boxes[best], kept_scores[best], labels[best]
