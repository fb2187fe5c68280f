"""Rows that no head on the frozen detector gives: GrabCut of its boxes, and models trained end to end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from maskx_model.artifacts.model_folder import load_model
from maskx_model.config import MaskConfig
from maskx_model.evaluation.coco_ap import average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import predict, predict_grabcut
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.results.instances import Instances
from maskx_model.study.frozen import ClassAP, Frozen
from maskx_model.study.jobs import Row
from maskx_model.training.stages import train_joint


def grabcut_row(frozen: Frozen) -> Row:
    """GrabCut of the frozen detector's boxes at test time (Table 2): nothing is trained."""
    found = predict_grabcut(_photographs(frozen, "GrabCut"), {"grabcut": frozen.model})["grabcut"]
    return Row(_by_class(frozen, found.on_predicted_boxes), _by_class(frozen, found.on_ground_truth_boxes))


def joint_row(frozen: Frozen, mask: MaskConfig, mask_classes: str, seed: int, folder: str) -> Row:
    """Detector and mask branch trained end to end as the preset's `joint` says, with boxes of their own (Table 1d).

    `folder` receives the model; a training that was cut off goes on from its last checkpoint.
    """
    preset = replace(frozen.preset, mask=mask)
    train_joint(
        frozen.dataset, folder, preset, kind=mask.kind, mask_classes=mask_classes, seed=seed, device=frozen.device
    )
    model = load_model(folder, frozen.device).model
    assert isinstance(model, MaskXRCNN)
    found = predict(_photographs(frozen, "end to end: measure"), {"joint": model})["joint"]
    return Row(_by_class(frozen, found.on_predicted_boxes), _by_class(frozen, found.on_ground_truth_boxes))


def _photographs(frozen: Frozen, title: str) -> Iterator[tuple[npt.NDArray[np.uint8], GroundTruth]]:
    images = map(frozen.data.pixels, frozen.rows)
    return zip(tqdm(images, title, len(frozen.rows), unit="image", mininterval=1), frozen.truths, strict=True)


def _by_class(frozen: Frozen, found: Sequence[Instances]) -> ClassAP:
    table = average_precision(frozen.truths, found, "segm", frozen.measured)
    return {label: ap for label, ap in table.by_class().items() if ap is not None}
