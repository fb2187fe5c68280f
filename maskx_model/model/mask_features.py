"""Computes the mask feature F of a RoI: the paper's convolutions, or a deconvolution and a deep hourglass."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskx_model.config import MaskConfig

HOURGLASS_BLOCKS = {10: (1, 1), 20: (1, 2, 2), 32: (2, 2, 2, 2), 52: (2, 2, 2, 2, 2, 4)}
"""Residual blocks at each resolution, from 28 × 28 down, by the layers of the head's longest path."""


def build_features(config: MaskConfig, in_channels: int) -> nn.Sequential:
    """Builds the layers from RoI features [R, C_in, 14, 14] to F [R, C, 28, 28], which is not negative.

    Weights: He initialization by the number of outputs. Biases: zero.
    """
    layers = _hourglass(config, in_channels) if config.head == "hourglass" else _fcn(config, in_channels)
    features = nn.Sequential(*layers)
    for layer in features.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return features


def _fcn(config: MaskConfig, in_channels: int) -> list[nn.Module]:
    """§3.4's FCN head, which is Mask R-CNN's: 3×3 convolutions, then a deconvolution."""
    layers: list[nn.Module] = []
    channels = in_channels
    for _ in range(config.convolutions):
        layers += [nn.Conv2d(channels, config.channels, 3, padding=1), nn.ReLU(inplace=True)]
        channels = config.channels
    return [*layers, nn.ConvTranspose2d(channels, config.channels, 2, stride=2), nn.ReLU(inplace=True)]


def _hourglass(config: MaskConfig, in_channels: int) -> list[nn.Module]:
    channels = config.channels
    return [
        nn.ConvTranspose2d(in_channels, channels, 2, stride=2),
        nn.ReLU(inplace=True),
        NormedBlock(channels, stride=1),
        Hourglass(channels, HOURGLASS_BLOCKS[config.hourglass_layers]),
        *_normed_convolution(channels, channels),
    ]


class Hourglass(nn.Module):
    """Deep-MAC's mask head for Mask R-CNN: residual blocks down to ever coarser maps and back up, with a shortcut at
    each resolution.

    Two things differ: the channels stay the same at all resolutions, and group norm replaces batch norm, so
    that a RoI's mask does not depend on what else is in the batch.
    """

    def __init__(self, channels: int, blocks: Sequence[int]) -> None:
        """`blocks`: residual blocks at each resolution, finest first; at least two numbers."""
        super().__init__()
        here, below = blocks[0], blocks[1:]
        self.shortcut = _residual_blocks(channels, here)
        self.down = _residual_blocks(channels, here, stride=2)
        self.inner = Hourglass(channels, below) if len(below) > 1 else _residual_blocks(channels, below[0])
        self.up = _residual_blocks(channels, here)

    def forward(self, x: Tensor) -> Tensor:
        """[R, C, H, W] → the same shape."""
        coarse = self.up(self.inner(self.down(x)))
        shortcut: Tensor = self.shortcut(x)
        return shortcut + F.interpolate(coarse, size=x.shape[-2:])


class NormedBlock(nn.Module):
    """Two 3×3 convolutions with group norm beside the identity, or beside a 1×1 convolution where the map is halved."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        last, norm, _ = _normed_convolution(channels, channels)
        self.body = nn.Sequential(*_normed_convolution(channels, channels, stride), last, norm)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, channels, 1, stride, bias=False), _norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[R, C, H, W] → [R, C, H / stride, W / stride]."""
        return torch.relu(self.body(x) + self.shortcut(x))


def _residual_blocks(channels: int, count: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*(NormedBlock(channels, stride if i == 0 else 1) for i in range(count)))


def _normed_convolution(in_channels: int, channels: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
    return [convolution, _norm(channels), nn.ReLU(inplace=True)]


def _norm(channels: int) -> nn.GroupNorm:
    """Returns group norm with groups of eight channels, or with one group where eight does not divide them."""
    return nn.GroupNorm(channels // 8 if channels % 8 == 0 else 1, channels)
