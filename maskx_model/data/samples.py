"""A sample: an image with one source's annotations, as training and inference take it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_prep.format.records import Rle
from data_prep.format.rle import mirror_mask


@dataclass(frozen=True)
class Sample:
    """An image with one source's annotations: image uint8 [H, W, 3] RGB, boxes xyxy float32 [N, 4] in pixels,
    labels int64 [N] (1-based; `CROWD_LABEL` for crowds), masks (None where there is none or the class is outside A).

    `negative` and `not_exhaustive`: labels of the classes known to be absent, and of those of which not every object is
    annotated, each once and in order; empty where the source does not say. `mask_weights`: of the masks in the loss;
    empty where all weigh 1.
    """

    key: str
    image: npt.NDArray[np.uint8]
    boxes: Tensor
    labels: Tensor
    masks: tuple[Rle | None, ...]
    negative: tuple[int, ...] = ()
    not_exhaustive: tuple[int, ...] = ()
    mask_weights: tuple[float, ...] = ()

    def image_tensor(self, device: torch.device | None = None) -> Tensor:
        """float32 [3, H, W] in 0..1, on `device` (None: the CPU)."""
        return to_tensor(self.image, device)

    def target(self) -> dict[str, Tensor]:
        """The target of torchvision's detectors, with `negative` and `not_exhaustive`, int64, for a federated loss."""
        return {
            "boxes": self.boxes,
            "labels": self.labels,
            "negative": torch.tensor(self.negative, dtype=torch.int64),
            "not_exhaustive": torch.tensor(self.not_exhaustive, dtype=torch.int64),
        }


def to_tensor(image: npt.NDArray[np.uint8], device: torch.device | None = None) -> Tensor:
    """uint8 [H, W, 3] → float32 [3, H, W] in 0..1, on `device` (None: the CPU), to which the bytes go."""
    if device is None or device.type == "cpu":
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255
    return torch.from_numpy(image).to(device).permute(2, 0, 1).contiguous().float() / 255


def mirrored(sample: Sample) -> Sample:
    """The sample seen in a mirror. Masks go along."""
    width = sample.image.shape[1]
    boxes = sample.boxes.clone()
    boxes[:, 0], boxes[:, 2] = width - sample.boxes[:, 2], width - sample.boxes[:, 0]
    return replace(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        boxes=boxes,
        masks=tuple(mask and mirror_mask(mask) for mask in sample.masks),
    )
