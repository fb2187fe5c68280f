"""Mask targets: what each RoI's 28 × 28 logits are trained towards."""

from collections.abc import Sequence

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision.ops import roi_align

from data_prep.format.records import Rle
from maskx_model.mask_head import MASK_SIZE


def decode_masks(masks: Sequence[Rle]) -> Tensor:
    """Compressed run lengths of one photograph → uint8 [N, H, W] of 0 and 1; at least one mask."""
    encoded = [{"size": list(mask.size), "counts": mask.counts.encode()} for mask in masks]
    return torch.from_numpy(np.ascontiguousarray(coco_mask.decode(encoded).transpose(2, 0, 1)))


def mask_targets(masks: Tensor, boxes: Tensor) -> Tensor:
    """The part of each mask that lies in its RoI: masks uint8 [R, H, W], boxes xyxy float32 [R, 4] in the masks'
    pixels → float32 [R, 28, 28] in 0..1 (RoIAlign's sampling; partly covered cells stay fractional).

    Row i of both belongs to the same object, the one that the RoI was matched to.
    """
    rows = torch.arange(len(boxes), dtype=boxes.dtype, device=boxes.device)
    rois = torch.cat([rows[:, None], boxes], dim=1)
    targets: Tensor = roi_align(masks[:, None].to(boxes), rois, (MASK_SIZE, MASK_SIZE), 1.0, sampling_ratio=2)
    return targets[:, 0]
