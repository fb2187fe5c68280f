"""From images to predictions: of models that share a detector, on its boxes and on ground-truth boxes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maskx_model.artifacts.model_folder import load_model
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import ground_truth_boxes, predict, predict_boxes
from maskx_model.model.detector import build_detector
from maskx_model.model.maskx_rcnn import MaskXRCNN
from tests.maskx_model.evaluation.conftest import NAMES
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_model
from tests.maskx_model.tiny_presets import DETECTOR


def test_sharing_the_detector_changes_nothing(world: Path) -> None:
    """Alone or beside another model, with an equal or another detector: the same instances to the last bit."""
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    write_model(world / "other", NAMES, "class_agnostic", seed=1)
    models = {}
    for name in ("transfer", "class_agnostic", "other"):
        model = load_model(f"{world}/{name}").model
        assert isinstance(model, MaskXRCNN)
        models[name] = model
    annotated = GroundTruth.of(random_world(0, 2, NAMES)[0][1], "coco", {name: i for i, name in enumerate(NAMES)})
    together = predict([(image, annotated)], models)
    for name, model in models.items():
        alone = predict([(image, annotated)], {name: model})[name]
        for one, other in zip(
            alone.on_predicted_boxes + alone.on_ground_truth_boxes,
            together[name].on_predicted_boxes + together[name].on_ground_truth_boxes,
            strict=True,
        ):
            assert np.array_equal(one.boxes, other.boxes)
            assert one.masks == other.masks


OTHER_SETTINGS: tuple[dict[str, Any], ...] = (
    {"min_size": 48},
    {"anchor_sizes": (8, 16, 32)},
    {"rpn_proposals_test": 2},
    {"score_threshold": 0.285},
    {"nms_threshold": 0.1},
    {"detections_per_image": 1},
)


@pytest.mark.parametrize("other", OTHER_SETTINGS)
def test_equal_weights_with_other_settings_are_another_detector(other: dict[str, Any]) -> None:
    config = replace(DETECTOR, score_threshold=0.01)
    torch.manual_seed(0)
    detectors = {"one": build_detector(config, 3).eval(), "other": build_detector(replace(config, **other), 3).eval()}
    detectors["other"].load_state_dict(detectors["one"].state_dict())
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    images = [(image, GroundTruth.of(random_world(0, 1, NAMES)[0][0], "coco", {}))]
    together = predict_boxes(images, detectors)
    for name, detector in detectors.items():
        (alone,) = predict_boxes(images, {name: detector})[name].on_predicted_boxes
        assert np.array_equal(together[name].on_predicted_boxes[0].boxes, alone.boxes)
    one, another = (each.on_predicted_boxes[0].boxes for each in together.values())
    assert not np.array_equal(one, another)


def test_ground_truth_boxes_have_their_objects_classes_and_leave_crowds_out(world: Path) -> None:
    records, _ = random_world(0, 16, NAMES)
    ground_truth = [GroundTruth.of(record, "coco", {NAMES[1]: 1}) for record in records]
    for annotated in ground_truth:
        boxes, labels = ground_truth_boxes(annotated)
        real = [o for o in annotated.objects if not o.iscrowd]
        assert len(boxes) == len(labels) == len(real)
        assert torch.equal(labels, torch.ones(len(real), dtype=torch.int64))
    assert any(len(ground_truth_boxes(annotated)[0]) for annotated in ground_truth)
