"""T: from a class's detection weights to its mask weights (§3.1)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from maskx_model.config import MaskConfig, TransferInput
from maskx_model.detector import class_weights

LEAKY_SLOPE = 0.1


def class_embeddings(detector: FasterRCNN, kind: TransferInput) -> Tensor:
    """w_det of every label, background's row first: [K + 1, D] for `cls`, [K + 1, 4 D] for `box`, both beside each
    other for `cls+box`; `randn` gives each label a fixed Gaussian vector of `cls`'s size (Table 1a).

    Detached: the mask loss never reaches the detector through T (the paper's stop_grad, §3.2).
    """
    w_cls, w_box = (weights.detach() for weights in class_weights(detector))
    if kind == "cls":
        return w_cls
    if kind == "box":
        return w_box
    if kind == "cls+box":
        return torch.cat([w_cls, w_box], dim=1)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(w_cls.shape, generator=generator).to(w_cls)


def embedding_size(box_dim: int, kind: TransferInput) -> int:
    """The width of `class_embeddings` for a box head of `box_dim`."""
    return {"cls": 1, "box": 4, "cls+box": 5, "randn": 1}[kind] * box_dim


class TransferFunction(nn.Module):
    """T(·; θ): fully connected layers with an activation between them; biases in all, He initialisation."""

    def __init__(self, config: MaskConfig, box_dim: int) -> None:
        super().__init__()
        widths = [embedding_size(box_dim, config.transfer_input)]
        widths += [config.transfer_hidden] * (config.transfer_layers - 1) + [config.channels]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            linear = nn.Linear(fan_in, fan_out)
            nn.init.kaiming_normal_(linear.weight, a=LEAKY_SLOPE)
            nn.init.zeros_(linear.bias)
            activation = nn.LeakyReLU(LEAKY_SLOPE) if config.activation == "leaky_relu" else nn.ReLU()
            layers += [linear, activation]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, embeddings: Tensor) -> Tensor:
        """w_det [L, D] → w_seg [L, C], a row for each class asked for."""
        w_seg: Tensor = self.layers(embeddings)
        return w_seg
