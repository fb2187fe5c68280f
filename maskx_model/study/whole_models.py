"""Rows that no head on the frozen detector gives: GrabCut of its boxes, and models trained end to end."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from maskx_model.artifacts.model_folder import load_model
from maskx_model.config import MaskConfig
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import Predictions, predict, predict_grabcut
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.heads import mask_ap
from maskx_model.study.rows import Row
from maskx_model.training.stages import train_joint


def grabcut_row(frozen: FrozenDetector) -> Row:
    """GrabCut of the frozen detector's boxes at test time (Table 2): nothing is trained."""
    return _row(frozen, predict_grabcut(_images(frozen, "GrabCut"), {"grabcut": frozen.model})["grabcut"])


def joint_row(frozen: FrozenDetector, mask: MaskConfig, mask_classes: str, seed: int, folder: str) -> Row:
    """Detector and mask branch trained end to end by the preset's `joint`, with boxes of their own (Table 1d).

    `folder` receives the model; a training that was cut off resumes from its last checkpoint.
    """
    preset = replace(frozen.preset, mask=mask)
    train_joint(
        frozen.dataset, folder, preset, kind=mask.kind, mask_classes=mask_classes, seed=seed, device=frozen.device
    )
    model = load_model(folder, frozen.device).model
    assert isinstance(model, MaskXRCNN)
    return _row(frozen, predict(_images(frozen, "end to end: measure"), {"joint": model})["joint"])


def _images(frozen: FrozenDetector, title: str) -> Iterator[tuple[npt.NDArray[np.uint8], GroundTruth]]:
    rows = tqdm(frozen.rows, title, unit="image", mininterval=1)
    return zip(map(frozen.data.pixels, rows), frozen.ground_truth, strict=True)


def _row(frozen: FrozenDetector, predictions: Predictions) -> Row:
    boxes = (predictions.on_predicted_boxes, predictions.on_ground_truth_boxes)
    return Row(*(mask_ap(frozen.ground_truth, each, frozen.measured) for each in boxes))
