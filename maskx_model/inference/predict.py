"""From decoded images to instances with whole-image masks."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_prep.format.records import Rle
from maskx_model.data.samples import to_tensor
from maskx_model.masks.pasting import paste
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.results.instances import Instances

Image = npt.NDArray[np.uint8]


def predict(model: MaskXRCNN, images: Sequence[Image]) -> list[Instances]:
    """Detect and segment: images uint8 [H, W, 3] RGB, of any sizes."""
    detections = model(_tensors(model, images))
    return [
        Instances(
            boxes=d["boxes"].cpu().numpy(),
            labels=d["labels"].cpu().numpy() - 1,
            scores=d["scores"].cpu().numpy(),
            masks=paste(d["masks"][:, 0], d["boxes"], (image.shape[0], image.shape[1])),
        )
        for d, image in zip(detections, images, strict=True)
    ]


def segment_boxes(
    model: MaskXRCNN,
    images: Sequence[Image],
    boxes: Sequence[npt.NDArray[np.float32]],
    labels: Sequence[npt.NDArray[np.int64]],
) -> list[list[Rle]]:
    """Masks for given boxes, xyxy [N, 4] in pixels, of given classes (0-based positions), for each image."""
    tensors = _tensors(model, images)
    device = tensors[0].device
    box_tensors = [torch.as_tensor(b, dtype=torch.float32, device=device).reshape(-1, 4) for b in boxes]
    label_tensors = [torch.as_tensor(each, dtype=torch.int64, device=device) + 1 for each in labels]
    masks = model.segment(model.encode(tensors), box_tensors, label_tensors)
    return [
        paste(m, b, (image.shape[0], image.shape[1])) for m, b, image in zip(masks, box_tensors, images, strict=True)
    ]


def _tensors(model: MaskXRCNN, images: Sequence[Image]) -> list[Tensor]:
    device = next(model.parameters()).device
    return [to_tensor(image, device) for image in images]
