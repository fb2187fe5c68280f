"""Frozen batch norm inside the convolution before it.

Frozen, it multiplies each channel by a constant and adds another: the convolution does the same with its weights
multiplied and a bias. No map is read and written again, and under autocast none becomes float32. Parameters, buffers
and their names stay torchvision's.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d


class NormedConv2d(nn.Conv2d):
    """A convolution without a bias, and the frozen batch norm behind it."""

    norm: tuple[FrozenBatchNorm2d]
    """In a tuple, for it is registered elsewhere."""

    def forward(self, features: Tensor) -> Tensor:
        """[N, in_channels, H, W] → [N, out_channels, H / stride, W / stride], normalised."""
        (norm,) = self.norm
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight, bias = self.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        return F.conv2d(features, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class AppliedBatchNorm2d(FrozenBatchNorm2d):
    """One that the convolution before it has applied."""

    def forward(self, features: Tensor) -> Tensor:
        """The features as they are."""
        return features


def fold_frozen_norms(module: nn.Module) -> None:
    """Let every convolution of `module` that a frozen batch norm follows apply it."""
    for parent in module.modules():
        for first, second in pairwise(parent.children()):
            if type(first) is nn.Conv2d and type(second) is FrozenBatchNorm2d:
                first.__class__, second.__class__ = NormedConv2d, AppliedBatchNorm2d
                object.__setattr__(first, "norm", (second,))
