"""The mask loss (§3.4)."""

import torch.nn.functional as F
from torch import Tensor


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits [R, M, M] against targets [R, M, M] in 0..1 (float32 scalar).

    Only the logit map of each RoI's own class is here, which is all that the paper's K × M × M loss looks at.
    Without a RoI it is 0 with a graph, so that every parameter still gets a gradient.
    """
    if len(logits) == 0:
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits.float(), targets)
