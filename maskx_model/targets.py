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


def mask_targets(masks: Tensor, boxes: Tensor, matched: Tensor) -> Tensor:
    """The part of an object's mask that lies in a RoI: masks uint8 [N, H, W], boxes of RoIs xyxy float32 [R, 4] in
    the masks' pixels, and for each the index of the object it was matched to, int64 [R] → float32 [R, 28, 28] in 0..1
    (RoIAlign's sampling; partly covered cells stay fractional)."""
    rois = torch.cat([matched[:, None].to(boxes), boxes], dim=1)
    targets: Tensor = roi_align(masks[:, None].to(boxes), rois, (MASK_SIZE, MASK_SIZE), 1.0, sampling_ratio=2)
    return targets[:, 0]
