"""Crowds: regions of many objects, which are never positives, and in which nothing counts as background."""

import torch
from torch import Tensor
from torchvision.ops import box_area

from maskx_model.proposals import TopFirstRPN

CROWD_LABEL = -1
"""In targets: a region of many objects. It is never a positive, and what lies mostly inside it is not background."""
CROWD_IOA = 0.7
BACKGROUND, IGNORED = 0, -1


def inside_crowd(boxes: Tensor, crowds: Tensor) -> Tensor:
    """Which boxes, xyxy [N, 4], have more than 0.7 of their area inside a crowd region, xyxy [M, 4]: bool [N]."""
    if len(crowds) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    top_left = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    inside: Tensor = (intersection / box_area(boxes)[:, None].clamp(min=1e-6)).amax(dim=1) > CROWD_IOA
    return inside


class CrowdAwareRPN(TopFirstRPN):
    """An RPN whose anchors inside a crowd count neither as background nor as object."""

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
