"""RoIAlign on CPUs as a sum of feature rows: the numbers of torchvision's, in a tenth of the time.

Whole inference on a CPU and a training step of the demo take 12 % longer without it (README.md).

A bin's value is a weighted sum of at most sixteen positions of the feature map, the same for all channels. With the
channels of a position side by side in memory that is one vectorised call; torchvision's kernel goes through each
channel's plane separately.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import initLevelMapper

FINEST_LEVEL = 2
"""A position of the pyramid's finest level stands for 2^2 = 4 pixels of the network's image, of the next for 2^3."""


class RowRoIAlign(MultiScaleRoIAlign):
    """RoIAlign over a pyramid: `roi_align_rows` for float32 on a CPU, else torchvision's. The sampling ratio is above
    0.

    The levels' scales are the pyramid's own. torchvision infers them from the height before and after padding, which
    for a low strip gives twice the scale and more: features of another place.
    """

    def __init__(self, featmap_names: list[str], output_size: int, sampling_ratio: int) -> None:
        """`featmap_names`: all levels that RoIs come from, finest first."""
        super().__init__(featmap_names, output_size, sampling_ratio)
        numbers = range(FINEST_LEVEL, FINEST_LEVEL + len(featmap_names))
        self.scales = [1 / 2**number for number in numbers]
        self.map_levels = initLevelMapper(numbers[0], numbers[-1], self.canonical_scale, self.canonical_level)

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Pyramid levels [N, C, H, W], boxes xyxy [R_n, 4] of each image in its pixels → [R, C, *output_size]."""
        levels = [x[name] for name in self.featmap_names]
        if levels[0].device.type != "cpu" or levels[0].dtype != torch.float32:
            result: Tensor = super().forward(x, boxes, image_shapes)
            return result
        rois = torch.cat(list(boxes))
        images = torch.repeat_interleave(torch.tensor([len(each) for each in boxes]))
        level_of = self.map_levels(list(boxes))
        members = [(level_of == level).nonzero()[:, 0] for level in range(len(levels))]
        parts = [
            roi_align_rows(level, rois[rows] * scale, images[rows], self.output_size, self.sampling_ratio)
            for level, scale, rows in zip(levels, self.scales, members, strict=True)
        ]
        return torch.cat(parts)[torch.cat(members).argsort()]


def roi_align_rows(
    features: Tensor, rois: Tensor, images: Tensor, output_size: Sequence[int], sampling_ratio: int
) -> Tensor:
    """Computes torchvision's `roi_align` (not `aligned`).

    Features float32 [N, C, H, W], RoIs xyxy [R, 4] on the feature map and their images int64 [R] →
    [R, C, *output_size]. Memory and result are channels last.
    """
    channels, height, width = features.shape[1:]
    if len(rois) == 0:
        return features.new_zeros(0, channels, *output_size)
    row, row_weight = _taps(rois[:, 1], rois[:, 3], output_size[0], sampling_ratio, height)
    column, column_weight = _taps(rois[:, 0], rois[:, 2], output_size[1], sampling_ratio, width)
    row = row + images[:, None, None] * height
    position = row[:, :, None, :, None] * width + column[:, None, :, None, :]
    weight = row_weight[:, :, None, :, None] * column_weight[:, None, :, None, :]
    bins = F.embedding_bag(
        position.flatten(3).flatten(0, 2),
        features.permute(0, 2, 3, 1).reshape(-1, channels),
        per_sample_weights=weight.flatten(3).flatten(0, 2),
        mode="sum",
    )
    return bins.view(len(rois), *output_size, channels).permute(0, 3, 1, 2)


def _taps(first: Tensor, last: Tensor, bins: int, sampling_ratio: int, size: int) -> tuple[Tensor, Tensor]:
    """Returns, along one side, the positions int64 and weights float32 of each bin, [R, bins, 2 · sampling_ratio]."""
    bin_size = ((last - first).clamp(min=1.0) / bins)[:, None, None]
    bin_number = torch.arange(bins, device=first.device)[:, None]
    sample = torch.arange(sampling_ratio, device=first.device)
    # In the order of torchvision's kernel: another order rounds differently.
    at = first[:, None, None] + bin_number * bin_size + (sample + 0.5) * bin_size / sampling_ratio
    outside = (at < -1.0) | (at > size)
    at = at.clamp(min=0.0)
    low = at.long().clamp(0, size - 1)
    high = (low + 1).clamp(max=size - 1)
    share = torch.where(low == high, torch.zeros_like(at), at - low)
    weight = torch.stack([1 - share, share], dim=-1) / sampling_ratio
    weight[outside] = 0
    return torch.stack([low, high], dim=-1).flatten(2), weight.flatten(2)
