"""Batch norm over a batch that several processes share.

torch's own `SyncBatchNorm` needs a GPU; this one serves CPUs too, with the same result.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SumOverRanks = Callable[[Tensor], Tensor]
"""A tensor of this process → the sum over all processes, with a gradient."""


class SyncedBatchNorm(nn.Module):
    """A batch norm that computes mean and variance over the batches of all processes; parameters, buffers and their
    names are those of the batch norm that it replaces. One of the processes may have an empty batch."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, sum_over_ranks: SumOverRanks) -> None:
        super().__init__()
        assert norm.momentum is not None
        self.weight, self.bias = norm.weight, norm.bias
        self.eps, self.momentum = norm.eps, norm.momentum
        self.sum_over_ranks = sum_over_ranks
        self.replaced = (norm,)  # in a tuple: its parameters and buffers are this module's
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, features: Tensor) -> Tensor:
        """[N, C] or [N, C, H, W] → the same shape, normalized over all but C: in training mode by this batch of all
        processes, else by the running statistics."""
        if not self.training:
            return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        others = [0, *range(2, features.dim())]
        count = features.numel() // features.shape[1]
        own_variance, own_mean = _moments(features, others)
        own = torch.stack([own_mean, own_variance + own_mean.square(), torch.ones_like(own_mean)]) * count
        sums = self.sum_over_ranks(own)
        total = sums[2].detach()
        mean = sums[0] / total
        variance = sums[1] / total - mean.square()
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_((variance * total / (total - 1).clamp(min=1)).float(), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt().float()
        shift = self.bias - mean.float() * scale
        shape = (1, -1, *[1] * (features.dim() - 2))
        return features * scale.view(shape) + shift.view(shape)


def _moments(features: Tensor, others: list[int]) -> tuple[Tensor, Tensor]:
    """Variance and mean of each channel, float64 [C], 0 with a graph for an empty batch. They are computed in float32,
    as torch's batch norms do: in bfloat16 a mean of 30 is known to a tenth."""
    if features.numel() == 0:
        nothing = features.sum(others).double()
        return nothing, nothing
    variance, mean = torch.var_mean(features.float(), others, correction=0)
    return variance.double(), mean.double()


def synchronize_batch_norms(module: nn.Module, sum_over_ranks: SumOverRanks) -> None:
    """Replace each batch norm of the module by one over the batches of all processes."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, SyncedBatchNorm(child, sum_over_ranks).train(child.training))


def restore_batch_norms(module: nn.Module) -> None:
    """Put the batch norms back that `synchronize_batch_norms` replaced, with what they have learned since."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SyncedBatchNorm):
                (norm,) = child.replaced
                setattr(parent, name, norm.train(child.training))


def has_synced_batch_norm(module: nn.Module) -> bool:
    """Whether a batch of the module is that of several processes, so that each must take part in it."""
    return any(isinstance(each, SyncedBatchNorm) for each in module.modules())
