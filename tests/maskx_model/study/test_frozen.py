"""Kept features give what the images give."""

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
from maskx_model.presets import Preset
from maskx_model.study.frozen import Frozen
from maskx_model.study.variants import variant
from tests.maskx_model.samples import bitmap


def test_only_classes_of_a_have_rois_to_train_on(frozen: Frozen) -> None:
    assert set(frozen.training("gt").labels.tolist()) <= {label + 1 for label in frozen.masks_of}


def test_a_head_sees_only_the_classes_that_it_is_trained_on(frozen: Frozen) -> None:
    classes = frozen.masks_of[:20]
    weights = []
    for planted in (0.0, 1.0):
        rois = frozen.training("gt")
        others = ~torch.isin(rois.labels - 1, torch.tensor(classes))
        assert others.sum() > 10
        targets = rois.targets.masked_fill(others[:, None, None], planted)
        with patch.object(Frozen, "training", return_value=replace(rois, targets=targets)):
            model = frozen.train(variant("cls", frozen.preset), classes, seed=3)
        weights.append(torch.cat([p.flatten() for p in model.mask_branch.parameters()]))
    assert torch.equal(*weights)


def test_masks_of_kept_features_are_those_of_the_images(frozen: Frozen) -> None:
    model = frozen.train(variant("cls", frozen.preset), frozen.masks_of, seed=0)
    images = [frozen.data.pixels(row) for row in frozen.rows]
    found = predict(zip(images, frozen.truths, strict=True), {"transfer": model})["transfer"]
    for kind, instances in (("predicted", found.on_predicted_boxes), ("given", found.on_ground_truth_boxes)):
        kept = frozen.instances(model, kind, frozen.measured)
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


def test_box_ap50_is_that_of_all_detections(frozen: Frozen) -> None:
    model = frozen.new_model(frozen.preset.mask)
    images = [frozen.data.pixels(row) for row in frozen.rows]
    found = predict(zip(images, frozen.truths, strict=True), {"any": model})["any"]
    whole = average_precision(frozen.truths, found.on_predicted_boxes, "bbox", range(60))
    column = dict(zip(whole.classes, whole.values[:, 1].tolist(), strict=True))
    assert frozen.box_ap50 == pytest.approx({label: ap for label, ap in column.items() if np.isfinite(ap)})


def test_features_are_computed_once(frozen: Frozen) -> None:
    frozen.prepare(["gt"])
    files = {path: path.stat().st_mtime_ns for path in Path(frozen.features).iterdir()}
    again = replace(frozen)
    assert torch.equal(again.training("gt").targets, frozen.training("gt").targets)
    again.prepare([])
    assert {path: path.stat().st_mtime_ns for path in Path(frozen.features).iterdir()} == files


def test_features_are_bounded(frozen: Frozen, tmp_path: Path) -> None:
    few = replace(frozen, rois_at_most=7, features=str(tmp_path))
    assert len(few.training("jittered")) == 7


def test_some_images_at_a_time_give_what_all_together_give(frozen: Frozen, tmp_path: Path) -> None:
    model = frozen.train(variant("cls", frozen.preset), frozen.masks_of, seed=0)
    with patch("maskx_model.study.frozen.IMAGES_OF_A_FILE", 7):
        parts = replace(frozen, features=str(tmp_path))
        assert parts.box_ap50 == frozen.box_ap50
        assert parts.average_precision(model, "predicted", frozen.measured) == frozen.average_precision(
            model, "predicted", frozen.measured
        )
    assert len(list(tmp_path.iterdir())) == -(-len(frozen.rows) // 7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_heads_are_trained_and_measured_on_a_gpu(frozen: Frozen, tmp_path: Path) -> None:
    there = replace(frozen, features=str(tmp_path), device="cuda")
    model = there.train(variant("cls", frozen.preset), frozen.masks_of, seed=0)
    assert next(model.parameters()).is_cuda
    assert there.average_precision(model, "given", frozen.measured).keys() <= set(frozen.measured)


def test_a_detector_may_have_begun_elsewhere_and_learned_its_classes_otherwise(frozen: Frozen, preset: Preset) -> None:
    other = replace(preset.detector, weights="r50.pth", classification_loss="federated")
    assert replace(frozen, preset=replace(preset, detector=other)).model is not None


def test_a_detector_that_does_not_fit_is_refused(frozen: Frozen, preset: Preset) -> None:
    other = replace(preset, detector=replace(preset.detector, box_dim=32))
    with pytest.raises(CheckpointError, match="its model is not that of preset tiny"):
        _ = replace(frozen, preset=other).model


def test_without_a_mask_of_a_there_is_nothing_to_train_on(frozen: Frozen, toy_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no object of the mask classes has a mask to train on"):
        replace(frozen, masks_of=(len(toy_dataset.vocabulary) - 1,), features=str(tmp_path)).training("gt")
