"""Crowds: regions of many objects, which are never positives, and in which nothing counts as background."""

import torch
from torch import Tensor
from torchvision.ops import box_area

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
