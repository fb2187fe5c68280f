"""The region proposal network: torchvision's, but only the top anchors are decoded, and anchors inside a crowd are
ignored."""

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes

from maskx_model.model.crowds import BACKGROUND, CROWD_LABEL, IGNORED, inside_crowd
from maskx_model.model.sampling import ImageSampler

ANCHORS_PER_IMAGE = 256
"""Anchors of each image that train, half of them objects where there are as many (as in Faster R-CNN)."""
POSITIVE_FRACTION = 0.5


class CrowdAwareRPN(RegionProposalNetwork):
    """torchvision's RPN with two changes.

    torchvision decodes every anchor and then selects the best scores of each level. This one selects first, and
    returns the very same proposals. Anchors inside a crowd count neither as background nor as object.
    """

    def __init__(self, anchors: AnchorGenerator, head: nn.Module, proposals_train: int, proposals_test: int) -> None:
        """`proposals_train` and `proposals_test`: the most anchors of each level before the NMS, and the most proposals
        of an image after it."""
        super().__init__(
            anchors,
            head,
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=ANCHORS_PER_IMAGE,
            positive_fraction=POSITIVE_FRACTION,
            pre_nms_top_n={"training": proposals_train, "testing": proposals_test},
            post_nms_top_n={"training": proposals_train, "testing": proposals_test},
            nms_thresh=0.7,
        )
        self.fg_bg_sampler = ImageSampler(ANCHORS_PER_IMAGE, POSITIVE_FRACTION)

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Returns what torchvision's returns: proposals xyxy [P, 4] of each image in its pixels, and in training mode
        the losses. Raises ValueError in training mode without targets."""
        proposals, losses, _ = self.training_step(images, features, targets)
        return proposals, losses

    def training_step(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[Tensor], dict[str, Tensor], int]:
        """Returns what `forward` does, and the number of anchors that the losses are means over (0 in eval mode)."""
        levels = list(features.values())
        objectness, deltas = self.head(levels)
        anchors = self.anchor_generator(images, levels)
        counts = [scores[0].numel() for scores in objectness]
        # In float32, whatever the layers computed in: bfloat16 has no number between 512 and 516 pixels.
        objectness, deltas = (each.float() for each in concat_box_prediction_layers(objectness, deltas))
        proposals = self._proposals(
            anchors, objectness.detach().view(len(anchors), -1), deltas.detach(), counts, images.image_sizes
        )
        if not self.training:
            return proposals, {}, 0
        if targets is None:
            raise ValueError("an RPN in training mode needs targets")
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        loss_objectness, loss_box_reg = self.compute_loss(
            objectness, deltas, labels, self.box_coder.encode(matched, anchors)
        )
        sampled = sum(sum(self.fg_bg_sampler.counts(each)) for each in labels)
        return proposals, {"loss_objectness": loss_objectness, "loss_rpn_box_reg": loss_box_reg}, sampled

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Returns for each image labels, float32 [A] (1 object, 0 background, -1 ignored), and matched boxes [A, 4]."""
        objects = [{"boxes": t["boxes"][t["labels"] > 0]} for t in targets]
        labels, matched = super().assign_targets_to_anchors(anchors, objects)
        for image_anchors, image_labels, target in zip(anchors, labels, targets, strict=True):
            crowds = target["boxes"][target["labels"] == CROWD_LABEL]
            image_labels[(image_labels == BACKGROUND) & inside_crowd(image_anchors, crowds)] = IGNORED
        return labels, matched

    def _proposals(
        self,
        anchors: list[Tensor],
        objectness: Tensor,
        deltas: Tensor,
        counts: list[int],
        sizes: list[tuple[int, int]],
    ) -> list[Tensor]:
        """Decodes and filters the top anchors: anchors [A, 4] of each of N images, objectness logits [N, A], box
        regression [N · A, 4], `counts` anchors of each level, `sizes` (height, width) of the images."""
        best = self._get_top_n_idx(objectness, counts)
        level_of = torch.repeat_interleave(torch.tensor(counts, device=best.device))
        regression = deltas.view(len(anchors), -1, 4)
        return [
            self._filter(
                self.box_coder.decode_single(regression[i, rows], anchors[i][rows]),
                objectness[i, rows].sigmoid(),
                level_of[rows],
                size,
            )
            for i, (rows, size) in enumerate(zip(best, sizes, strict=True))
        ]

    def _filter(self, boxes: Tensor, scores: Tensor, levels: Tensor, size: tuple[int, int]) -> Tensor:
        boxes = clip_boxes_to_image(boxes, size)
        kept = remove_small_boxes(boxes, self.min_size)
        kept = kept[scores[kept] >= self.score_thresh]
        best = batched_nms(boxes[kept], scores[kept], levels[kept], self.nms_thresh)[: self.post_nms_top_n()]
        return boxes[kept[best]]
