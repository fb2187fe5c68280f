"""Frozen batch norm inside the convolution before it.

Frozen batch norm multiplies each channel by a constant and adds another. The convolution does the same with scaled
weights and a bias: no map is read and written again, and under autocast no map becomes float32. Parameters, buffers
and their names stay torchvision's.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d


class AppliedBatchNorm2d(FrozenBatchNorm2d):
    """A frozen batch norm that the `NormedConv2d` before it applies; it only holds the numbers."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns the features unchanged."""
        return features


class NormedConv2d(nn.Module):
    """A convolution without a bias, with the frozen batch norm behind it; its weight is the convolution's."""

    def __init__(self, convolution: nn.Conv2d, norm: AppliedBatchNorm2d) -> None:
        super().__init__()
        self.weight = convolution.weight
        self.stride, self.padding = convolution.stride, convolution.padding
        self.dilation, self.groups = convolution.dilation, convolution.groups
        self.norm = (norm,)  # in a tuple: torchvision's module registers it under its own name

    def forward(self, features: Tensor) -> Tensor:
        """[N, in_channels, H, W] → [N, out_channels, H / stride, W / stride], normalized."""
        (norm,) = self.norm
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight, bias = self.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        return F.conv2d(features, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def fold_batch_norms(module: nn.Module) -> None:
    """Replace each convolution of `module` that an `AppliedBatchNorm2d` follows by a `NormedConv2d`."""
    for parent in list(module.modules()):
        for (name, convolution), (_, norm) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, AppliedBatchNorm2d):
                setattr(parent, name, NormedConv2d(convolution, norm))
