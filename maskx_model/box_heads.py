"""From a RoI's 7 × 7 feature to the vector that the last layer's class weights look at (§3.1)."""

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead

from maskx_model.config import DetectorConfig

BOX_ROI_SIZE = 7


def build_box_head(config: DetectorConfig) -> nn.Module:
    """[R, fpn_channels, 7, 7] → [R, box_dim]."""
    if config.box_head == "pooled":
        return PooledBoxHead(config.fpn_channels, config.box_dim)
    head: nn.Module = TwoMLPHead(config.fpn_channels * BOX_ROI_SIZE**2, config.box_dim)
    return head


class PooledBoxHead(nn.Module):
    """Ours, for small detectors trained from scratch: a fully connected layer for where, beside convolutions averaged
    over the RoI for what. Textures are learned once for all positions, in a fraction of the steps."""

    def __init__(self, in_channels: int, box_dim: int) -> None:
        super().__init__()
        self.where = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * BOX_ROI_SIZE**2, box_dim, bias=False),
            nn.BatchNorm1d(box_dim),
        )
        self.what = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, box_dim, 3, padding=1, bias=False),
            nn.BatchNorm2d(box_dim),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.BatchNorm1d(box_dim),
        )
        self.both = nn.Sequential(
            nn.Linear(box_dim, box_dim, bias=False), nn.BatchNorm1d(box_dim), nn.ReLU(inplace=True)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[R, C, 7, 7] → [R, box_dim]."""
        vector: Tensor = self.both(torch.relu(self.where(features) + self.what(features)))
        return vector
