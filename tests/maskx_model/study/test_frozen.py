"""Kept features give what the photographs give."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from data_prep.format.errors import CheckpointError, DataError
from data_prep.format.images import decode_rgb
from data_prep.format.reader import Dataset
from maskx_model.box_protocols import find
from maskx_model.coco_ap import average_precision
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


def test_masks_of_kept_features_are_those_of_the_photographs(frozen: Frozen) -> None:
    model = frozen.train(variant("cls", frozen.preset), frozen.masks_of, seed=0)
    images = [decode_rgb(frozen.data.read_image(row), row.key) for row in frozen.rows]
    found = find(zip(images, frozen.truths, strict=True), {"transfer": model})["transfer"]
    for kind, instances in (("predicted", found.predicted), ("given", found.given)):
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
    images = [decode_rgb(frozen.data.read_image(row), row.key) for row in frozen.rows]
    found = find(zip(images, frozen.truths, strict=True), {"any": model})["any"]
    whole = average_precision(frozen.truths, found.predicted, "bbox", range(60))
    column = dict(zip(whole.classes, whole.values[:, 1].tolist(), strict=True))
    assert frozen.box_ap50 == pytest.approx({label: ap for label, ap in column.items() if np.isfinite(ap)})


def test_features_are_computed_once(frozen: Frozen) -> None:
    frozen.prepare(["gt"])
    files = {path: path.stat().st_mtime_ns for path in Path(frozen.features).iterdir()}
    again = replace(frozen)
    assert torch.equal(again.training("gt").targets, frozen.training("gt").targets)
    again.boxes("given")
    assert {path: path.stat().st_mtime_ns for path in Path(frozen.features).iterdir()} == files


def test_features_are_bounded(frozen: Frozen, tmp_path: Path) -> None:
    few = replace(frozen, rois_at_most=7, features=str(tmp_path))
    assert len(few.training("jittered")) == 7


def test_a_detector_that_does_not_fit_is_refused(frozen: Frozen, preset: Preset) -> None:
    other = replace(preset, detector=replace(preset.detector, box_dim=32))
    with pytest.raises(CheckpointError, match="its model is not that of preset tiny"):
        _ = replace(frozen, preset=other).model


def test_without_a_mask_of_a_there_is_nothing_to_train_on(frozen: Frozen, toy_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no object of the mask classes has a mask to train on"):
        replace(frozen, masks_of=(len(toy_dataset.vocabulary) - 1,), features=str(tmp_path)).training("gt")
