"""What a detector without ImageNet weights learns first: classes of crops."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN

from data_prep.format.reader import Dataset
from data_prep.format.records import Record
from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.data.training_images import training_images
from maskx_model.model.crowds import CROWD_LABEL
from maskx_model.model.detector import build_detector
from maskx_model.schedules import CropSchedule
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.crops import CropClassifier, Crops, crops_of, draw_crops, learn_crops, read_crops
from maskx_model.training.session import BY_ITSELF, Session
from maskx_model.training.stages import train_detector
from tests.maskx_model.samples import read_sample
from tests.maskx_model.tiny_presets import DETECTOR, tiny

SHORT = CropSchedule(steps=40, crops_per_batch=16, size=32)


def detector_of(data: Dataset) -> FasterRCNN:
    torch.manual_seed(0)
    return build_detector(DETECTOR, len(data.vocabulary)).train()


def numbered(count: int) -> Crops:
    """Crops whose left half is as bright as their number, and the right half black."""
    pixels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    pixels[..., :2] = torch.arange(1, count + 1, dtype=torch.uint8)[:, None, None, None]
    return Crops(pixels, torch.arange(1, count + 1))


def test_a_crop_is_its_box_scaled_and_crowds_give_none() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[4:12, 10:14] = (200, 100, 50)
    boxes = torch.tensor([[10.0, 4.0, 14.0, 12.0], [0.0, 0.0, 30.0, 20.0], [29.2, 19.5, 29.8, 20.0]])
    sample = Sample("a", image, boxes, torch.tensor([3, CROWD_LABEL, 5]), (None, None, None))
    first, smallest = crops_of(sample, 16)
    assert first.shape == smallest.shape == (3, 16, 16)
    assert first.dtype == torch.uint8
    assert first.flatten(1).float().mean(1).tolist() == [200, 100, 50]
    assert smallest.max() == 0  # a box of less than a pixel gives the pixel that it is in


def test_a_batch_is_a_function_of_the_seed_and_half_of_it_is_mirrored() -> None:
    crops = numbered(50)
    first, again, other = (draw_crops(crops, 400, seed) for seed in (7, 7, 8))
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)
    assert torch.equal(first.pixels.amax((1, 2, 3)).long(), first.labels)
    mirrored = first.pixels[:, 0, 0, 0] == 0
    assert 150 < int(mirrored.sum()) < 250


def test_no_more_crops_are_read_than_the_steps_can_show(toy_dataset: Dataset) -> None:
    rows, reader = training_images(toy_dataset, "vg"), SampleReader(toy_dataset, "vg")
    few = read_crops(reader, rows, replace(SHORT, steps=1), seed=0)
    every = read_crops(reader, rows, replace(SHORT, steps=10_000), seed=0)
    assert 16 <= len(few) < 32
    objects = sum(int((read_sample(reader, row).labels > 0).sum()) for row in rows)
    assert len(every) == objects
    assert torch.equal(every.pixels[: len(few)], few.pixels)


class Damaged(SampleReader):
    """A reader of a dataset with damaged images: all, or every other one."""

    every = 2

    def from_record(self, image: npt.NDArray[np.uint8], record: Record) -> Sample:
        self.read = getattr(self, "read", 0) + 1
        if self.read % self.every == 0:
            raise DataError(f"{record.key}: truncated")
        return super().from_record(image, record)


def test_damaged_images_are_told_and_others_give_crops(toy_dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    rows = training_images(toy_dataset, "vg")
    reader = Damaged(toy_dataset, "vg")
    with caplog.at_level(logging.WARNING):
        crops = read_crops(reader, rows, replace(SHORT, steps=10_000), seed=0)
    assert len(crops) > 0
    assert caplog.text.count("truncated; crops are made of the other images") == len(rows) // 2
    reader.every = 1
    with pytest.raises(DataError, match="no training image of source 'vg' gives a crop"):
        read_crops(reader, rows, SHORT, seed=0)


def test_it_learns_classes_and_leaves_rpn_and_box_regression_as_they_are(toy_dataset: Dataset) -> None:
    rows, reader = training_images(toy_dataset, "vg"), SampleReader(toy_dataset, "vg")
    detector = detector_of(toy_dataset)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    crops = read_crops(reader, rows, SHORT, seed=0)
    classifier = CropClassifier(detector)

    def loss() -> float:
        with torch.no_grad():
            return float(F.cross_entropy(classifier(crops.pixels), crops.labels))

    assert classifier(crops.pixels).shape == (len(crops), len(toy_dataset.vocabulary) + 1)
    untrained = loss()
    learn_crops(detector, reader, rows, SHORT, 0, BY_ITSELF)
    assert loss() < untrained - 0.5
    same = {name for name, value in detector.state_dict().items() if torch.equal(value, before[name])}
    assert {name for name in before if name.startswith("rpn.") or ".bbox_pred." in name} == same


def test_a_detector_that_is_under_way_does_not_learn_them_again(toy_dataset: Dataset, tmp_path: Path) -> None:
    rows, reader = training_images(toy_dataset, "vg"), SampleReader(toy_dataset, "vg")
    detector = detector_of(toy_dataset)
    before = {name: value.clone() for name, value in detector.state_dict().items()}

    class UnderWay(Checkpoints):
        def latest(self) -> object:  # type: ignore[override]
            return object()

    learn_crops(detector, reader, rows, SHORT, 0, Session(UnderWay(str(tmp_path), {})))
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_other_crops_are_another_training(toy_dataset: Dataset, tmp_path: Path) -> None:
    train_detector(toy_dataset.uri, str(tmp_path), tiny(2))
    longer = replace(tiny(2), crops=replace(tiny(2).crops, steps=4))
    with pytest.raises(CheckpointError, match="a training that differs in crops"):
        train_detector(toy_dataset.uri, str(tmp_path), longer)


@pytest.mark.parametrize(
    ("changes", "words"), [({"size": 16}, "size: 32 or more"), ({"steps": -1}, "steps: 0 or more")]
)
def test_crops_that_cannot_be_learned_are_refused(changes: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(SHORT, **changes)
