"""The mask loss (§3.4)."""

import torch.nn.functional as F
from torch import Tensor


def mask_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Computes the mean binary cross-entropy of logits [R, M, M] against targets [R, M, M] in 0..1 (float32 scalar).
    `weights`, float32 [R]: what each RoI's loss is multiplied by; None for 1.

    Each RoI has the logit map of its own class only, and the paper's K × M × M loss uses no other. Without a RoI the
    loss is 0 with a graph, so that every parameter still gets a gradient.
    """
    if len(logits) == 0:
        return logits.sum() * 0
    weight = None if weights is None else weights[:, None, None]
    return F.binary_cross_entropy_with_logits(logits.float(), targets, weight)
