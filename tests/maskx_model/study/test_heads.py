"""Heads on cached features are trained and measured as on the images."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, DataError
from maskx_model.evaluation.coco_ap import average_precision
from maskx_model.evaluation.predictions import predict
from maskx_model.results.instances import Instances
from maskx_model.run_config import RunConfig
from maskx_model.study.box_features import BoxKind
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.study.heads import box_ap50, head_ap, head_predictions, train_head
from maskx_model.study.variants import variant
from tests.maskx_model.samples import bitmap


def test_only_classes_of_a_have_rois_to_train_on(frozen: FrozenDetector) -> None:
    assert set(frozen.training_rois("gt").labels.tolist()) <= {label + 1 for label in frozen.masks_of}


def test_a_head_sees_only_the_classes_that_it_is_trained_on(frozen: FrozenDetector) -> None:
    classes = frozen.masks_of[:20]
    weights = []
    for planted in (0.0, 1.0):
        rois = frozen.training_rois("gt")
        others = ~torch.isin(rois.labels - 1, torch.tensor(classes))
        assert others.sum() > 10
        targets = rois.targets.masked_fill(others[:, None, None], planted)
        with patch.object(FrozenDetector, "training_rois", return_value=replace(rois, targets=targets)):
            model = train_head(frozen, variant("cls", frozen.preset), classes, seed=3)
        weights.append(torch.cat([p.flatten() for p in model.mask_branch.parameters()]))
    assert torch.equal(*weights)


def test_masks_of_cached_features_are_those_of_the_images(frozen: FrozenDetector) -> None:
    model = train_head(frozen, variant("cls", frozen.preset), frozen.masks_of, seed=0)
    images = [frozen.data.pixels(row) for row in frozen.rows]
    found = predict(zip(images, frozen.ground_truth, strict=True), {"transfer": model})["transfer"]
    kinds: dict[BoxKind, list[Instances]] = {
        "predicted": found.on_predicted_boxes,
        "ground_truth": found.on_ground_truth_boxes,
    }
    for kind, instances in kinds.items():
        kept = head_predictions(frozen, model, kind, frozen.measured)
        overlaps = []
        for own, whole in zip(kept, instances, strict=True):
            rows = [i for i, label in enumerate(whole.labels) if label in frozen.measured]
            assert np.allclose(own.boxes, whole.boxes[rows])
            assert own.labels.tolist() == whole.labels[rows].tolist()
            assert np.allclose(own.scores, whole.scores[rows])
            for mask, row in zip(own.masks, rows, strict=True):
                one, other = bitmap(mask), bitmap(whole.masks[row])
                overlaps.append((one == other).mean())
        assert len(overlaps) > 5
        assert np.mean(overlaps) > 0.999  # half precision


def test_a_head_does_not_depend_on_what_was_computed_before_it(frozen: FrozenDetector) -> None:
    heads = [
        train_head(each, variant("cls", frozen.preset), frozen.masks_of, seed=4) for each in (frozen, replace(frozen))
    ]
    one, other = (dict(head.mask_branch.state_dict()) for head in heads)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_box_ap50_is_that_of_all_detections(frozen: FrozenDetector) -> None:
    model = frozen.new_model(frozen.preset.mask)
    images = [frozen.data.pixels(row) for row in frozen.rows]
    found = predict(zip(images, frozen.ground_truth, strict=True), {"any": model})["any"]
    whole = average_precision(frozen.ground_truth, found.on_predicted_boxes, "bbox", range(60))
    column = dict(zip(whole.classes, whole.values[:, 1].tolist(), strict=True))
    assert box_ap50(frozen) == pytest.approx({label: ap for label, ap in column.items() if np.isfinite(ap)})


def test_features_are_computed_once(frozen: FrozenDetector) -> None:
    frozen.prepare(["gt"])
    files = {path: path.stat().st_mtime_ns for path in Path(frozen.features).iterdir()}
    again = replace(frozen)
    assert torch.equal(again.training_rois("gt").targets, frozen.training_rois("gt").targets)
    again.prepare([])
    assert {path: path.stat().st_mtime_ns for path in Path(frozen.features).iterdir()} == files


def test_features_are_bounded(frozen: FrozenDetector, tmp_path: Path) -> None:
    few = replace(frozen, rois_at_most=7, features=str(tmp_path))
    assert len(few.training_rois("jittered")) == 7


def test_some_images_at_a_time_give_what_all_together_give(frozen: FrozenDetector, tmp_path: Path) -> None:
    model = train_head(frozen, variant("cls", frozen.preset), frozen.masks_of, seed=0)
    with patch("maskx_model.study.frozen_detector.IMAGES_OF_A_FILE", 7):
        parts = replace(frozen, features=str(tmp_path))
        assert box_ap50(parts) == box_ap50(frozen)
        assert head_ap(parts, model, "predicted", frozen.measured) == head_ap(
            frozen, model, "predicted", frozen.measured
        )
    assert len(list(tmp_path.iterdir())) == -(-len(frozen.rows) // 7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_heads_are_trained_and_measured_on_a_gpu(frozen: FrozenDetector, tmp_path: Path) -> None:
    there = replace(frozen, features=str(tmp_path), device="cuda")
    model = train_head(there, variant("cls", frozen.preset), frozen.masks_of, seed=0)
    assert next(model.parameters()).is_cuda
    assert head_ap(there, model, "ground_truth", frozen.measured).keys() <= set(frozen.measured)


def test_a_detector_may_have_begun_elsewhere_and_learned_its_classes_otherwise(
    frozen: FrozenDetector, preset: RunConfig
) -> None:
    other = replace(preset.detector, weights="r50.pth", classification_loss="federated")
    assert replace(frozen, preset=replace(preset, detector=other)).model is not None


def test_a_detector_that_does_not_fit_is_refused(frozen: FrozenDetector, preset: RunConfig) -> None:
    other = replace(preset, detector=replace(preset.detector, box_dim=32))
    with pytest.raises(CheckpointError, match="its model is not that of preset tiny"):
        _ = replace(frozen, preset=other).model


def test_without_a_mask_of_a_there_is_nothing_to_train_on(
    frozen: FrozenDetector, toy_dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no object of the mask classes has a mask to train on"):
        replace(frozen, masks_of=(len(toy_dataset.vocabulary) - 1,), features=str(tmp_path)).training_rois("gt")
