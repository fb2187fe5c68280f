"""The transfer function T, its input, its layers and their initialization: detection weights → mask weights (§3.1)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN

from maskx_model.config import MaskConfig, TransferScale
from maskx_model.model.detector import class_weights

LEAKY_SLOPE = 0.1
SMALLEST_DEVIATION = 1e-6
"""A column with a smaller standard deviation is the same for all classes; it is not scaled up."""


def class_embeddings(
    detector: FasterRCNN, config: MaskConfig, word_vectors: Tensor | None = None, labels: Tensor | None = None
) -> Tensor:
    """Returns T's input for every label, background first (Table 1a): w_det, [K + 1, D] for `cls`, [K + 1, 4 D] for
    `box`, both concatenated for `cls+box`; a fixed Gaussian vector of `cls`'s size for `randn`; `word_vectors`,
    [K + 1, E], for `embedding`. It is scaled as `config.transfer_scale` requires.

    `labels`, int64 [L]: for those labels only, [L, …]. With `stop_gradient` the result is detached: the mask loss does
    not reach the detector through T (§3.2).
    """
    w_cls, w_box = (each.detach() if config.stop_gradient else each for each in class_weights(detector))
    if config.transfer_input == "embedding":
        assert word_vectors is not None
        blocks = [word_vectors]
    elif config.transfer_input == "randn":
        blocks = [torch.randn(w_cls.shape, generator=torch.Generator().manual_seed(0)).to(w_cls)]
    else:
        blocks = [{"cls": w_cls, "box": w_box}[name] for name in config.transfer_input.split("+")]
    return torch.cat([scaled_rows(block, config.transfer_scale, labels) for block in blocks], dim=1)


def scaled_rows(block: Tensor, scale: TransferScale, labels: Tensor | None = None) -> Tensor:
    """Scales the rows of all labels, or of some, of a block [K + 1, D] for T. `unit` and `standard` make their norms 1
    or about 1, which T's initialization preserves; a row of zeros stays zero under `unit`.

    Statistics of `standard` are those of all foreground rows, of B's classes too: they need no mask. No gradient goes
    through them.
    """
    rows = block if labels is None else block[labels]
    if scale == "unit":
        return F.normalize(rows, dim=1)
    if scale == "standard":
        deviation, mean = torch.std_mean(block[1:].detach(), dim=0, correction=0)
        return (rows - mean) / (deviation.clamp_min(SMALLEST_DEVIATION) * math.sqrt(block.shape[1]))
    return rows


def embedding_size(config: MaskConfig, box_dim: int) -> int:
    """Returns the width of `class_embeddings` for a box head of `box_dim`."""
    if config.embedding_dim is not None:
        return config.embedding_dim
    return {"cls": 1, "box": 4, "cls+box": 5, "randn": 1}[config.transfer_input] * box_dim


class TransferFunction(nn.Module):
    """T(·; θ): fully connected layers with an activation between them, biases in all (Table 1b).

    Weights: He initialization by the number of outputs, as in the authors' framework. Biases: zero. `weight_decay`:
    that of these layers in training; None for the schedule's.
    """

    def __init__(self, config: MaskConfig, box_dim: int) -> None:
        super().__init__()
        self.weight_decay = config.transfer_weight_decay
        widths = [embedding_size(config, box_dim)]
        widths += [config.transfer_hidden] * (config.transfer_layers - 1) + [config.channels]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            linear = nn.Linear(fan_in, fan_out)
            nn.init.kaiming_normal_(linear.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            dropout = [nn.Dropout(config.transfer_dropout)] if config.transfer_dropout else []
            activation = nn.LeakyReLU(LEAKY_SLOPE) if config.activation == "leaky_relu" else nn.ReLU()
            layers += [*dropout, linear, activation]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, embeddings: Tensor) -> Tensor:
        """w_det [L, D] → w_seg [L, C], a row for each requested class."""
        w_seg: Tensor = self.layers(embeddings)
        return w_seg
