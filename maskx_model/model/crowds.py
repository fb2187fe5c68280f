"""Crowds: regions of many objects, which are never positives, and in which nothing counts as background."""

import torch
from torch import Tensor
from torchvision.ops import box_area

CROWD_LABEL = -1
"""Label of a crowd region in targets: it is never a positive, and boxes mostly inside it are not background."""
CROWD_IOA = 0.7
"""A box with more than this fraction of its area inside a crowd is ignored."""
BACKGROUND, IGNORED = 0, -1


def inside_crowd(boxes: Tensor, crowds: Tensor) -> Tensor:
    """Returns which boxes, xyxy [N, 4], have more than `CROWD_IOA` of their area inside one crowd region, xyxy [M, 4]:
    bool [N]."""
    if len(crowds) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    top_left = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    inside: Tensor = (intersection / box_area(boxes)[:, None].clamp(min=1e-6)).amax(dim=1) > CROWD_IOA
    return inside
