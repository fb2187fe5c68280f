"""The mask branch: RoI features and labels → mask logits, with the class weights that the RoIs need only (§3.4).

For a RoI of class c: logits = F · w_seg[c] + MLP(F). The K × 28 × 28 output of the paper's text is never computed.
"""

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from maskx_model.config import MaskConfig, MlpBranch
from maskx_model.model.cpu.roi_align import RowRoIAlign
from maskx_model.model.mask_features import build_features
from maskx_model.model.transfer import TransferFunction

ROI_SIZE = 14
MASK_SIZE = 28


def mask_roi_pool(detector: FasterRCNN) -> RowRoIAlign:
    """Returns the mask head's RoIAlign to 14 × 14, on the pyramid levels that the box head uses."""
    return RowRoIAlign(detector.roi_heads.box_roi_pool.featmap_names, output_size=ROI_SIZE, sampling_ratio=2)


class MaskBranch(nn.Module):
    """Mask features, per-class weights, and the class-agnostic MLP beside them."""

    def __init__(self, config: MaskConfig, in_channels: int, box_dim: int, num_classes: int) -> None:
        super().__init__()
        self.kind = config.kind
        self.channels = config.channels
        self.features = build_features(config, in_channels)
        if config.kind == "transfer":
            self.transfer = TransferFunction(config, box_dim)
        else:
            self.weights = nn.Parameter(_learned_weights(config, num_classes))
        self.class_bias = nn.Parameter(torch.zeros(num_classes + 1)) if config.class_bias else None
        self.bias = nn.Parameter(torch.zeros(())) if config.shared_bias else None
        self.mlp: nn.Module | None = build_mlp(config.mlp, config.channels, MASK_SIZE)

    def forward(self, roi_features: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        """RoI features [R, C_in, 14, 14], labels int64 [R] (1-based) and w_det of all labels [K + 1, D] →
        logits [R, 28, 28]. Without a RoI the result is empty and keeps its graph."""
        return self.logits(roi_features, self.class_weights(labels, embeddings))

    def logits(self, roi_features: Tensor, w_seg: Tensor) -> Tensor:
        """RoI features [R, C_in, 14, 14] and `class_weights` of each RoI's class → logits [R, 28, 28]."""
        features = self.features(roi_features)
        logits = apply_class_weights(features, w_seg[:, : self.channels])
        if self.class_bias is not None:
            logits = logits + w_seg[:, self.channels, None, None]
        if self.bias is not None:
            logits = logits + self.bias
        if self.mlp is not None:
            logits = logits + self.mlp(features)
        return logits

    def class_weights(self, labels: Tensor, embeddings: Tensor) -> Tensor:
        """Returns w_seg for each RoI: [R, C], or [R, C + 1] with the class's bias last. T runs once for each distinct
        label."""
        distinct, position = labels.unique(return_inverse=True)
        return self.weights_of(distinct, embeddings[distinct])[position]

    def weights_of(self, labels: Tensor, w_det: Tensor) -> Tensor:
        """Returns w_seg of labels int64 [L], from their w_det [L, D]: [L, C], or [L, C + 1] with the bias last."""
        if self.kind == "class_agnostic":
            return self.weights.expand(len(labels), -1)
        if self.kind == "class_specific":
            own = self.weights[labels]
            return own if self.class_bias is None else torch.cat([own, self.class_bias[labels, None]], dim=1)
        w_seg: Tensor = self.transfer(w_det)
        return w_seg


def apply_class_weights(features: Tensor, w_seg: Tensor) -> Tensor:
    """Applies a 1×1 convolution with each RoI's own weights: F [R, C, M, M], w_seg [R, C] → logits [R, M, M]."""
    return torch.bmm(w_seg[:, None, :], features.flatten(2)).view(-1, *features.shape[2:])


def _learned_weights(config: MaskConfig, num_classes: int) -> Tensor:
    """Initializes w_seg where it is learned: [1, C] for all classes together, Gaussian 0.001 (the authors report that
    larger values diverged), or [K + 1, C], a row for each, as Mask R-CNN's last convolution."""
    if config.kind == "class_agnostic":
        return torch.randn(1, config.channels) * 0.001
    return nn.init.kaiming_normal_(torch.empty(num_classes + 1, config.channels), mode="fan_out", nonlinearity="relu")


LIGHT_CHANNELS = 8
LIGHT_HIDDEN = 256


def build_mlp(kind: MlpBranch, channels: int, size: int) -> nn.Module | None:
    """Builds the MLP from the mask feature F [R, C, M, M] to logits [R, M, M] that are added to the FCN's; `size` is M.

    `paper`: one fully connected layer (157 M parameters at 256 channels). `light`: ours, a 1×1 convolution to 8
    channels and two layers with 256 between them (1.8 M at 256 channels). The last layer starts as Gaussian 0.001,
    so that training begins with the FCN's logits. `none` gives None.
    """
    if kind == "none":
        return None
    flat: list[nn.Module] = [nn.Flatten()] if kind == "paper" else _squeezed(channels, size)
    width = channels * size**2 if kind == "paper" else LIGHT_HIDDEN
    last = nn.Linear(width, size**2)
    nn.init.normal_(last.weight, std=0.001)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*flat, last, nn.Unflatten(1, (size, size)))


def _squeezed(channels: int, size: int) -> list[nn.Module]:
    """Returns the layers from F [R, C, M, M] to [R, 256]."""
    squeeze = nn.Conv2d(channels, LIGHT_CHANNELS, 1)
    hidden = nn.Linear(LIGHT_CHANNELS * size**2, LIGHT_HIDDEN)
    for layer in (squeeze, hidden):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return [squeeze, nn.ReLU(inplace=True), nn.Flatten(), hidden, nn.ReLU(inplace=True)]
