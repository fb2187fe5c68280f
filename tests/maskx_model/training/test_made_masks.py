"""Masks that a model made: their weight in the loss, which are left out, and that nothing is measured by them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record
from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.config import ModelConfig
from maskx_model.data.reader import MadeMasks, SampleReader
from maskx_model.data.samples import mirrored
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.model.mask_loss import mask_loss
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.schedules import NO_CROPS
from maskx_model.study.frozen_detector import FrozenDetector
from maskx_model.training.joint import measured_joint_losses
from maskx_model.training.roi_sampling import sampled_rois
from maskx_model.training.stage2 import freeze
from maskx_model.training.stages import train_detector, train_joint, train_masks
from tests.maskx_model.samples import busy_samples, frozen_detector, read_sample
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import DETECTOR, MASK, tiny, tiny_cached
from tests.maskx_model.training.same_model import weights

NAMES = ["cup", "chair"]


def marked(a: Annotation) -> Annotation:
    """Chairs' masks are made by a model, one more certain than the next."""
    if a.category != "chair":
        return a
    return msgspec.structs.replace(a, provenance="maskx annotate m", mask_score=round(a.id % 10 / 10, 1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data`, whose chairs' masks are made, and `detector`."""
    folder = tmp_path_factory.mktemp("made")
    records, _ = random_world(0, 12, NAMES)
    made = [msgspec.structs.replace(r, objects={"coco": [marked(a) for a in r.objects["coco"]]}) for r in records]
    write_dataset(folder / "data", made, NAMES, split="train")
    train_detector(f"{folder}/data", f"{folder}/detector", replace(tiny(1), stage1_source="coco"))
    return folder


def test_a_loss_is_multiplied_by_its_mask_weight() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 28, 28), torch.rand(3, 28, 28).round()
    each = torch.stack([mask_loss(logits[i : i + 1], targets[i : i + 1]) for i in range(3)])
    weighted = mask_loss(logits, targets, torch.tensor([1.0, 0.5, 0.0]))
    assert weighted == pytest.approx((each[0] + each[1] / 2).item() / 3)
    assert mask_loss(logits, targets, torch.ones(3)) == mask_loss(logits, targets)


@pytest.mark.parametrize("mirror", [False, True])
def test_every_roi_has_the_weight_of_its_objects_mask(mirror: bool) -> None:
    samples = [replace(s, mask_weights=(1.0, 0.5, 0.25, 0.125)) for s in busy_samples(3)]
    numbered = [replace(s, labels=torch.arange(1, 5)) for s in samples]  # the label tells the object
    rois = sampled_rois(frozen_detector(5), [mirrored(s) if mirror else s for s in numbered], kind="gt")
    assert len(rois) == 8
    assert torch.equal(rois.weights, 0.5 ** (rois.labels - 1).float())


def test_a_reader_weighs_made_masks_and_leaves_uncertain_ones_out(world: Path) -> None:
    data = Dataset.open(f"{world}/data")
    reader = SampleReader(data, "coco", frozenset((0, 1)), made=MadeMasks(0.5, 0.4))
    scores = set()
    for row in data.rows:
        record, sample = data.read_record(row), read_sample(reader, row)
        for a, mask, weight in zip(record.objects["coco"], sample.masks, sample.mask_weights, strict=True):
            if a.iscrowd:
                assert mask is None
            elif a.mask_score is None:
                assert (mask, weight) == (a.mask, 1.0)
            else:
                scores.add(a.mask_score >= 0.4)
                assert (mask, weight) == ((a.mask, 0.5) if a.mask_score >= 0.4 else (None, 0.0))
    assert scores == {False, True}
    assert read_sample(SampleReader(data, "coco", frozenset((0, 1))), data.rows[0]).mask_weights == ()


def test_masks_of_grabcut_weigh_1_whoever_made_those_that_they_replace(world: Path) -> None:
    data = Dataset.open(f"{world}/data")
    reader = SampleReader(data, "coco", frozenset((0, 1)), "grabcut", MadeMasks(0.5, 0.4))
    samples = [read_sample(reader, row) for row in data.rows[:3]]
    rois = sampled_rois(frozen_detector(2), samples, kind="gt")
    assert len(rois) == sum(mask is not None for each in samples for mask in each.masks) > 0
    assert set(rois.weights.tolist()) == {1.0}


def test_made_masks_weigh_in_training_as_the_schedule_says(world: Path) -> None:
    trained = {}
    weighings: dict[str, dict[str, Any]] = {"as people's": {}, "half": {"made_mask_weight": 0.5}}
    for name, changes in weighings.items():
        preset = tiny_cached(4, checkpoint_every=100)
        preset = replace(preset, stage2=replace(preset.stage2, learning_rates=(1e-2,), **changes))
        train_masks(f"{world}/data", f"{world}/detector", f"{world}/{name}", preset, mask_classes="coco")
        trained[name] = weights(world / name)
    assert any(not torch.equal(trained["half"][name], value) for name, value in trained["as people's"].items())


def test_end_to_end_they_weigh_as_in_stage_2(world: Path) -> None:
    trained = {}
    weighings: dict[str, dict[str, Any]] = {
        "as people's": {},
        "again": {"made_mask_weight": 1.0},
        "half": {"made_mask_weight": 0.5},
        "certain": {"min_mask_score": 0.4},
    }
    preset = replace(tiny(2), crops=NO_CROPS)
    for name, changes in weighings.items():
        own = replace(preset, stage2=replace(preset.stage2, **changes))
        train_joint(f"{world}/data", f"{world}/joint {name}", own, mask_classes="coco")
        trained[name] = weights(world / f"joint {name}")
    like_peoples = trained.pop("as people's")
    again = trained.pop("again")
    assert all(torch.equal(again[name], value) for name, value in like_peoples.items())
    for other in trained.values():
        assert any(not torch.equal(other[name], value) for name, value in like_peoples.items())
    half = replace(preset, stage2=replace(preset.stage2, made_mask_weight=0.5))
    with pytest.raises(CheckpointError, match="made_mask_weight"):
        train_joint(f"{world}/data", f"{world}/joint as people's", half, mask_classes="coco")


def test_a_joint_mask_loss_is_multiplied_by_the_masks_weights() -> None:
    model = MaskXRCNN(ModelConfig(DETECTOR, MASK), 5, frozen_detector(5)).train()
    freeze(model.detector)
    losses = []
    for weight in (1.0, 0.5):
        torch.manual_seed(0)
        samples = [replace(s, mask_weights=(weight,) * 4) for s in busy_samples(3)]
        losses.append(measured_joint_losses(model, samples, box_loss_weight=1.0).losses["loss_mask"].item())
    assert losses[1] == pytest.approx(losses[0] / 2) and losses[0] > 0


def test_a_study_caches_the_rois_of_each_choice_of_made_masks(world: Path, tmp_path: Path) -> None:
    weights_of = []
    choices: tuple[dict[str, Any], ...] = ({}, {"min_mask_score": 0.4}, {"made_mask_weight": 0.5})
    for changes in choices:
        preset = tiny_cached()
        preset = replace(preset, stage2=replace(preset.stage2, **changes))
        frozen = FrozenDetector(f"{world}/data", f"{world}/detector", f"{tmp_path}", preset, (0, 1), (0, 1), "train")
        weights_of.append(frozen.training_rois("gt").weights.tolist())
    everything, certain, half = weights_of
    assert len(certain) < len(everything) == len(half)
    assert set(everything) == {1.0} and set(half) == {0.5, 1.0}


def test_without_a_certain_mask_there_is_nothing_to_train_on(world: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("chair\n")
    preset = tiny_cached(2)
    preset = replace(preset, stage2=replace(preset.stage2, learning_rates=(1e-2,), min_mask_score=1.0))
    with pytest.raises(DataError, match="no object of A with a mask is left to train on"):
        train_masks(f"{world}/data", f"{world}/detector", f"{tmp_path}/out", preset, mask_classes=f"{tmp_path}/a.txt")


@pytest.mark.parametrize("changes", [{"made_mask_weight": 1.5}, {"made_mask_weight": -1.0}, {"min_mask_score": 50.0}])
def test_weights_and_scores_lie_between_0_and_1(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        replace(tiny().stage2, **changes)


def test_nothing_is_measured_by_a_made_mask() -> None:
    records, _ = random_world(0, 12, NAMES)
    record = max(records, key=lambda r: len(r.objects["coco"]))
    made = msgspec.structs.replace(record, objects={"coco": [marked(a) for a in record.objects["coco"]]})
    labels = {name: at for at, name in enumerate(NAMES)}
    drawn = [a if a.category == "cup" else msgspec.structs.replace(a, mask=None) for a in record.objects["coco"]]
    expected = Record(record.key, record.width, record.height, record.ids, {"coco": drawn})
    assert GroundTruth.of(made, "coco", labels) == GroundTruth.of(expected, "coco", labels)
    assert np.any([a.mask is None for a in drawn])
