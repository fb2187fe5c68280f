"""From images to predictions: of models that share a detector, on its boxes and on ground-truth boxes."""

from pathlib import Path

import numpy as np
import torch

from maskx_model.artifacts.model_folder import load_model
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import ground_truth_boxes, predict
from maskx_model.model.maskx_rcnn import MaskXRCNN
from tests.maskx_model.evaluation.conftest import NAMES
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_model


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


def test_ground_truth_boxes_have_their_objects_classes_and_leave_crowds_out(world: Path) -> None:
    records, _ = random_world(0, 16, NAMES)
    ground_truth = [GroundTruth.of(record, "coco", {NAMES[1]: 1}) for record in records]
    for annotated in ground_truth:
        boxes, labels = ground_truth_boxes(annotated)
        real = [o for o in annotated.objects if not o.iscrowd]
        assert len(boxes) == len(labels) == len(real)
        assert torch.equal(labels, torch.ones(len(real), dtype=torch.int64))
    assert any(len(ground_truth_boxes(annotated)[0]) for annotated in ground_truth)
