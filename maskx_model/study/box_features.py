"""Boxes of the measured images with their RoI features: heads are measured by them without the images.

Stage 2 changes nothing in front of the mask branch (§3.2), so that variants of it need the images no more than
once. Features are float16: 25 kB a box at the toy preset's 64 channels, 100 kB at 256.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from maskx_model.data.samples import to_tensor
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import ground_truth_boxes
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.study.cache import Tensors

BoxKind = Literal["predicted", "ground_truth", "all"]
"""`predicted`: detections of the measured classes. `ground_truth`: their objects' boxes. `all`: detections of all
classes, which have no features."""


@dataclass(frozen=True)
class BoxFeatures:
    """N boxes of several images: `image` int64 [N], the position of each one's image; `boxes` xyxy float32 [N, 4] in
    its pixels; `labels` int64 [N] (1-based); `scores` float32 [N]; RoI features float16 [N, C, 14, 14], or [N, 0] for
    boxes of the kind `all`."""

    image: Tensor
    boxes: Tensor
    labels: Tensor
    scores: Tensor
    features: Tensor

    def of_classes(self, classes: Sequence[int]) -> "BoxFeatures":
        """The boxes of these classes (0-based positions)."""
        rows = torch.isin(self.labels, torch.tensor(classes) + 1).nonzero()[:, 0]
        return BoxFeatures(*(getattr(self, field.name)[rows] for field in fields(self)))


def box_features(
    model: MaskXRCNN, images: Iterable[tuple[npt.NDArray[np.uint8], GroundTruth]], measured: Sequence[int]
) -> Tensors:
    """The fields of `BoxFeatures` of every `BoxKind`, by the names `KIND/FIELD`. The mask branch is not used.

    `measured`: the measured classes (0-based positions).
    """
    parts: dict[str, list[Tensor]] = {}
    wanted = torch.tensor(sorted(measured)) + 1
    device = next(model.parameters()).device
    for number, (image, ground_truth) in enumerate(images):
        encoded = model.encode([to_tensor(image, device)])
        detected = {name: value.cpu() for name, value in model.detect(encoded)[0].items()}
        boxes, labels = ground_truth_boxes(ground_truth)
        objects = {"boxes": boxes, "labels": labels + 1, "scores": torch.ones(len(labels))}
        for kind, chosen in {
            "all": detected,
            "predicted": _of_labels(detected, wanted),
            "ground_truth": _of_labels(objects, wanted),
        }.items():
            own = chosen["boxes"]
            pooled = own[:, :0] if kind == "all" else model.roi_features(encoded, [own.to(device)])
            columns = chosen | {"image": torch.full((len(own),), number), "features": pooled.half().cpu()}
            for name, value in columns.items():
                parts.setdefault(f"{kind}/{name}", []).append(value)
    return {name: torch.cat(values).contiguous() for name, values in parts.items()}


def _of_labels(boxes: Mapping[str, Tensor], labels: Tensor) -> Tensors:
    rows = torch.isin(boxes["labels"], labels).nonzero()[:, 0]
    return {name: value[rows] for name, value in boxes.items()}
