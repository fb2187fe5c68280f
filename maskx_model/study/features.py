"""Frozen RoI features, computed once and kept on disk: to train heads on, and to measure them by.

Stage 2 changes nothing in front of the mask branch (§3.2), so that variants of it need the images no more than
once. They are float16: 25 kB a box at the toy preset's 64 channels, 100 kB at 256.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN

from data_prep.format.index import IndexRow
from data_prep.storage.errors import DataError
from data_prep.storage.storage import exists, write
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import RoiKind
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import to_tensor
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import ground_truth_boxes
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.training.roi_cache import CACHE_SEED, cache_rois, read_groups
from maskx_model.training.roi_sampling import RoiBatch

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class BoxFeatures:
    """N boxes of the images measured on: `photograph` int64 [N], which one each is in; `boxes` xyxy float32
    [N, 4] in its pixels; `labels` int64 [N] (1-based); `scores` float32 [N]; RoI features float16 [N, C, 14, 14],
    or [N, 0] where none are kept."""

    photograph: Tensor
    boxes: Tensor
    labels: Tensor
    scores: Tensor
    features: Tensor

    def of_classes(self, classes: Sequence[int]) -> "BoxFeatures":
        """Those of these classes (0-based positions)."""
        rows = torch.isin(self.labels, torch.tensor(classes) + 1).nonzero()[:, 0]
        return BoxFeatures(*(getattr(self, field.name)[rows] for field in fields(self)))


def training_rois(
    detector: FasterRCNN,
    reader: SampleReader,
    rows: Sequence[IndexRow],
    rois_at_most: int,
    per_object: int,
    kind: RoiKind = "proposals",
) -> Tensors:
    """RoIs of the images' objects with masks (`RoiBatch`), from images in a random order until there are enough.

    `per_object` and `kind`: as `sampled_rois` takes them. Raises DataError where there is no RoI.
    """
    order = np.random.default_rng(CACHE_SEED).permutation(len(rows)).tolist()
    groups = read_groups(reader, [rows[number] for number in order], "RoI features to train on")
    rois = cache_rois(detector, groups, per_object, kind, rois_at_most)
    if not len(rois):
        raise DataError(f"{reader.dataset.uri}: no object of the mask classes has a mask to train on")
    return {field.name: getattr(rois, field.name).contiguous() for field in fields(RoiBatch)}


def measured_boxes(
    model: MaskXRCNN,
    photographs: Iterable[tuple[npt.NDArray[np.uint8], GroundTruth]],
    measured: Sequence[int],
) -> Tensors:
    """What any head on this detector is measured by: `predicted/…` are detections, `given/…` ground-truth boxes, both
    of the classes measured, with features; `all/…` are detections of all classes, without."""
    parts: dict[str, list[Tensor]] = {}
    wanted = torch.tensor(sorted(measured)) + 1
    device = next(model.parameters()).device
    for number, (image, truth) in enumerate(photographs):
        encoded = model.encode([to_tensor(image, device)])
        detected = {name: value.cpu() for name, value in model.detect(encoded)[0].items()}
        own, labels = ground_truth_boxes(truth)
        given = {"boxes": own, "labels": labels + 1, "scores": torch.ones(len(labels))}
        for kind, found in (("all", detected), ("predicted", detected), ("given", given)):
            kept = found if kind == "all" else _of(found, wanted)
            kept = {**kept, "photograph": torch.full((len(kept["labels"]),), number)}
            boxes = kept["boxes"]
            pooled = boxes[:, :0] if kind == "all" else model.roi_features(encoded, [boxes.to(device)])
            kept["features"] = pooled.half().cpu()
            for name, value in kept.items():
                parts.setdefault(f"{kind}/{name}", []).append(value)
    return {name: torch.cat(values).contiguous() for name, values in parts.items()}


def _of(found: Mapping[str, Tensor], labels: Tensor) -> Tensors:
    rows = torch.isin(found["labels"], labels).nonzero()[:, 0]
    return {name: value[rows] for name, value in found.items()}


def kept(folder: str, name: str, made_from: Mapping[str, Any], compute: Callable[[], Tensors]) -> Tensors:
    """The tensors of a file that is named for what they were made from, in a folder; computed if it is not there.

    They are mapped into memory, not read: processes share them.
    """
    digest = hashlib.sha256(msgspec.json.encode(made_from)).hexdigest()[:16]
    uri = f"{folder}/{name}-{digest}.safetensors"
    if not exists(uri):
        from safetensors.torch import save

        write(uri, save(compute()))
    return load_tensors(uri)
