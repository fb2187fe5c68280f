"""Box regression for (RoI, class) pairs: only the class rows that a pair needs, never four numbers for every class."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

PAIRS_AT_ONCE = 2048
"""(RoI, class) pairs regressed together: bounds the memory of their gathered weights (16 kB each at 1024 numbers)."""


def box_deltas(predictor: FastRCNNPredictor, vectors: Tensor, rois: Tensor, labels: Tensor) -> Tensor:
    """Computes the box regression of (RoI, class) pairs.

    Box head vectors [R, D], rois (rows of `vectors`) and labels int64 [P] → deltas float32 [P, 4].
    """
    weight = predictor.bbox_pred.weight.unflatten(0, (-1, 4))
    bias = predictor.bbox_pred.bias.unflatten(0, (-1, 4))
    pairs = zip(rois.split(PAIRS_AT_ONCE), labels.split(PAIRS_AT_ONCE), strict=True)
    deltas = [torch.baddbmm(bias[own, :, None], weight[own], vectors[roi, :, None])[..., 0] for roi, own in pairs]
    return torch.cat(deltas).float()  # in bfloat16 boxes would be off by pixels


def regression_loss(predictor: FastRCNNPredictor, vectors: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Computes the smooth L1 loss of each positive RoI's own box as torchvision does: a float32 scalar.

    Box head vectors [R, D], labels int64 [R] (0 is background), box targets [R, 4].
    """
    positive = (labels > 0).nonzero()[:, 0]
    deltas = box_deltas(predictor, vectors, positive, labels[positive])
    regression: Tensor = F.smooth_l1_loss(deltas, targets[positive], beta=1 / 9, reduction="sum")
    return regression / labels.numel()
