"""The mask branch: RoI features and labels → mask logits, touching only the class weights that the RoIs need (§3.4).

For a RoI of class c: logits = F · w_seg[c] + MLP(F). The K × 28 × 28 output of the paper's text is never formed.
"""

import torch
from torch import Tensor, nn

from maskx_model.config import MaskConfig
from maskx_model.transfer import TransferFunction

ROI_SIZE = 14
MASK_SIZE = 28


class MaskBranch(nn.Module):
    """FCN features, per-class weights, and the class-agnostic MLP beside them."""

    def __init__(self, config: MaskConfig, in_channels: int, box_dim: int, num_classes: int) -> None:
        super().__init__()
        self.kind = config.kind
        self.features = _mask_features(config, in_channels)
        if config.kind == "transfer":
            self.transfer = TransferFunction(config, box_dim)
        else:
            rows = 1 if config.kind == "class_agnostic" else num_classes + 1
            self.weights = nn.Parameter(torch.randn(rows, config.channels) * 0.001)
        if config.shared_bias:
            self.bias = nn.Parameter(torch.zeros(()))
        else:
            self.register_parameter("bias", None)
        self.mlp: nn.Module | None = _mlp_mask(config.channels) if config.mlp else None

    def forward(self, roi_features: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        """RoI features [R, C_in, 14, 14], labels int64 [R] (1-based) and w_det of all labels [K + 1, D] →
        logits [R, 28, 28]. No RoI gives an empty result that keeps its graph."""
        return self.logits(roi_features, self.class_weights(labels, embeddings))

    def logits(self, roi_features: Tensor, w_seg: Tensor) -> Tensor:
        """RoI features [R, C_in, 14, 14] and w_seg of each RoI's class [R, C] → logits [R, 28, 28]."""
        features = self.features(roi_features)
        logits = apply_class_weights(features, w_seg)
        if self.bias is not None:
            logits = logits + self.bias
        if self.mlp is not None:
            logits = logits + self.mlp(features)
        return logits

    def class_weights(self, labels: Tensor, embeddings: Tensor) -> Tensor:
        """w_seg for each RoI: [R, C]. T runs once for each distinct label."""
        if self.kind == "class_agnostic":
            return self.weights.expand(len(labels), -1)
        if self.kind == "class_specific":
            return self.weights[labels]
        distinct, position = labels.unique(return_inverse=True)
        w_seg: Tensor = self.transfer(embeddings[distinct])[position]
        return w_seg


def apply_class_weights(features: Tensor, w_seg: Tensor) -> Tensor:
    """A 1×1 convolution with a weight of its own for each RoI: F [R, C, M, M], w_seg [R, C] → logits [R, M, M]."""
    return torch.bmm(w_seg[:, None, :], features.flatten(2)).view(-1, *features.shape[2:])


def _mask_features(config: MaskConfig, in_channels: int) -> nn.Sequential:
    """[R, C_in, 14, 14] → F [R, C, 28, 28]."""
    layers: list[nn.Module] = []
    channels = in_channels
    for _ in range(config.convolutions):
        layers += [nn.Conv2d(channels, config.channels, 3, padding=1), nn.ReLU(inplace=True)]
        channels = config.channels
    layers += [nn.ConvTranspose2d(channels, config.channels, 2, stride=2), nn.ReLU(inplace=True)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def _mlp_mask(channels: int) -> nn.Sequential:
    """The class-agnostic MLP: one layer from F to all logits (157 M parameters at 256 channels), Gaussian 0.001."""
    linear = nn.Linear(channels * MASK_SIZE * MASK_SIZE, MASK_SIZE * MASK_SIZE)
    nn.init.normal_(linear.weight, std=0.001)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, (MASK_SIZE, MASK_SIZE)))
