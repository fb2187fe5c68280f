"""What a frozen detector computes of an image before anything is drawn at random."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.transform import resize_boxes

from maskx_model.data.samples import Sample


@dataclass(frozen=True)
class FrozenImage:
    """`pyramid`: the levels that RoIAlign reads, by name, [1, C, H, W] each; `proposals`: xyxy float32 [P, 4] in the
    network's pixels, None where they were not asked for; `size`: (height, width) in the network's pixels."""

    pyramid: dict[str, Tensor]
    proposals: Tensor | None
    size: tuple[int, int]

    def target(self, sample: Sample) -> dict[str, Tensor]:
        """The sample's boxes xyxy float32 [N, 4] in the network's pixels, and labels int64 [N], on the pyramid's
        device."""
        device = next(iter(self.pyramid.values())).device
        boxes: Tensor = resize_boxes(sample.boxes.to(device), list(sample.image.shape[:2]), list(self.size))
        return {"boxes": boxes, "labels": sample.labels.to(device)}


FrozenFeatures = Callable[[Sample], FrozenImage]
"""The same image at every call for the same pixels."""


@torch.no_grad()
def frozen_image(detector: FasterRCNN, sample: Sample, with_proposals: bool = True) -> FrozenImage:
    """What a detector in eval mode computes of the sample's pixels.

    The image is alone, as at inference: in a batch of several sizes it would be padded to the largest, and what stands
    near its edge would depend on the other images.
    """
    batch, _ = detector.transform([sample.image_tensor(next(detector.parameters()).device)])
    pyramid = detector.backbone(batch.tensors)
    proposals = detector.rpn(batch, pyramid)[0][0] if with_proposals else None
    levels = {name: pyramid[name] for name in detector.roi_heads.box_roi_pool.featmap_names}
    return FrozenImage(levels, proposals, batch.image_sizes[0])
