"""Batch norm over a batch that several processes share.

torch's own `SyncBatchNorm` needs a GPU; this one serves CPUs too, with the same result. It is made of torch's fused
kernels; between them each layer adds up its sums over the processes, once in the forward and once in the backward.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SumOverRanks = Callable[[Tensor], Tensor]
"""A tensor of this process → the sum over all processes, which takes no part in a graph."""


class SyncedBatchNorm(nn.Module):
    """A batch norm that computes mean and variance over the batches of all processes; parameters, buffers and their
    names are those of the batch norm that it replaces. One of the processes may have an empty batch."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, sum_over_ranks: SumOverRanks) -> None:
        super().__init__()
        assert norm.momentum is not None
        self.weight, self.bias = norm.weight, norm.bias
        self.eps, self.momentum = norm.eps, norm.momentum
        self.sum_over_ranks = sum_over_ranks
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
        mean, variance, count = _moments(features, self.sum_over_ranks)
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
        normalized: Tensor = _Normalize.apply(
            features, self.weight, self.bias, mean, variance, count, self.eps, self.sum_over_ranks
        )
        return normalized


@torch.no_grad()
def _moments(features: Tensor, sum_over_ranks: SumOverRanks) -> tuple[Tensor, Tensor, float]:
    """Mean and variance of each channel over the batches of all processes, float32 [C], and over how many numbers."""
    channels = features.shape[1]
    own = torch.zeros(2 * channels + 1, dtype=torch.float64, device=features.device)
    if features.numel() > 0:
        mean, variance = (each.double() for each in torch.batch_norm_update_stats(features, None, None, 0.0))
        count = features.numel() // channels
        own[:-1] = torch.cat([mean, variance + mean.square()]) * count
        own[-1] = count
    sums = sum_over_ranks(own)
    mean, square = (sums[:-1] / sums[-1]).chunk(2)
    return mean.float(), (square - mean.square()).float(), sums[-1].item()


class _Normalize(torch.autograd.Function):
    """Batch norm by a mean and a variance that depend on the features of all processes."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: float,
        eps: float,
        sum_over_ranks: SumOverRanks,
    ) -> Tensor:
        ctx.save_for_backward(features, weight, mean, variance)
        ctx.count, ctx.eps, ctx.sum_over_ranks = count, eps, sum_over_ranks
        return F.batch_norm(features, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        features, weight, mean, variance = ctx.saved_tensors
        own, of_weight, of_bias = gradient, torch.zeros_like(weight), torch.zeros_like(weight)
        if features.numel() > 0:
            # As if mean and variance were constants.
            own, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                gradient, features, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
            )
        slope, level = ctx.sum_over_ranks(torch.cat([of_weight, of_bias])).chunk(2)
        # What goes through mean and variance: by channel a linear function of the normalized features.
        scale = weight * (variance + ctx.eps).rsqrt() / ctx.count
        through = F.batch_norm(features, mean, variance, slope * scale, level * scale, eps=ctx.eps)
        return own.sub_(through), of_weight, of_bias, None, None, None, None, None


def synchronize_batch_norms(module: nn.Module, sum_over_ranks: SumOverRanks) -> None:
    """Replace each batch norm of the module by one over the batches of all processes."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, SyncedBatchNorm(child, sum_over_ranks).train(child.training))


def has_synced_batch_norm(module: nn.Module) -> bool:
    """Whether a batch of the module is that of several processes, so that each must take part in it."""
    return any(isinstance(each, SyncedBatchNorm) for each in module.modules())
