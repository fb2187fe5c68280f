"""What neither training nor inference takes: refused with the image's key or place, before anything changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.format.records import Rle
from data_prep.storage.errors import CheckpointError, DataError
from maskx_model.artifacts.model_folder import LoadedModel, load_model, save_model
from maskx_model.config import ModelConfig
from maskx_model.data.samples import Sample
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.results.predict import segment_boxes
from maskx_model.training.detector_step import detector_step
from maskx_model.training.joint import measured_joint_losses
from maskx_model.training.roi_cache import cache_rois
from maskx_model.training.roi_sampling import RoiBatch, sampled_rois
from maskx_model.training.stage2 import freeze
from tests.maskx_model.samples import bitmap, busy_samples, new_detector, sample
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import DETECTOR, MASK

Training = Callable[[MaskXRCNN, list[Sample]], Any]

TRAININGS = pytest.mark.parametrize(
    "training",
    [
        lambda model, samples: detector_step(model.detector, samples, 1.0).losses,
        lambda model, samples: rois_of_frozen(model, samples, None),
        lambda model, samples: rois_of_frozen(model, samples, 1),
        lambda model, samples: measured_joint_losses(model, samples, 1.0).losses,
    ],
    ids=["detector", "masks", "masks from memory", "joint"],
)


def rois_of_frozen(model: MaskXRCNN, samples: list[Sample], cached_proposals: int | None) -> RoiBatch:
    freeze(model.detector)
    return sampled_rois(model.detector, samples, cached_proposals)


def new_model() -> MaskXRCNN:
    return MaskXRCNN(ModelConfig(DETECTOR, MASK), 5, new_detector()).train()


GOOD = sample([(8, 8, 40, 40)], [1], seed=77)
BAD = {
    "box of no width": (replace(GOOD, boxes=torch.tensor([[8.0, 8, 8, 40]])), r"object 0 has the box \[8.0, 8.0, 8.0"),
    "box turned round": (sample([(1, 1, 9, 9), (40, 8, 8, 40)], [1, 2], seed=77), "object 1 has the box"),
    "box of NaN": (sample([(8, 8, float("nan"), 40)], [1], seed=77), "object 0 has the box .*nan"),
    "infinite box": (sample([(8, 8, float("inf"), 40)], [1], seed=77), "object 0 has the box .*inf"),
    "label of the background": (
        sample([(8, 8, 40, 40)], [0], seed=77),
        "object 0 has label 0, .* of 5 classes",
    ),
    "label that the weights lack": (
        sample([(8, 8, 40, 40)], [6], seed=77),
        "object 0 has label 6, but the model has weights of 5 classes; train on the dataset whose vocabulary",
    ),
    "image of floats": (
        replace(GOOD, image=np.full((64, 64, 3), np.nan, np.float32)),
        r"an image of float32 \[64, 64, 3\]; uint8 \[H, W, 3\] is needed",
    ),
    "grey image": (replace(GOOD, image=np.zeros((64, 64), np.uint8)), r"an image of uint8 \[64, 64\]"),
    "empty image": (replace(GOOD, image=np.zeros((0, 64, 3), np.uint8)), r"an image of uint8 \[0, 64, 3\]"),
    "fewer masks than boxes": (replace(GOOD, masks=()), r"boxes \[1, 4\], 1 labels, 0 masks; each object"),
    "fewer labels than boxes": (replace(GOOD, labels=GOOD.labels[:0]), r"boxes \[1, 4\], 0 labels, 1 masks"),
}


@TRAININGS
@pytest.mark.parametrize("name", BAD)
def test_a_bad_sample_is_refused_by_its_key_before_anything_changes(training: Training, name: str) -> None:
    bad, message = BAD[name]
    model = new_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DataError, match=f"coco-000000000077: {message}"):
        training(model, [*busy_samples(0), bad])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@TRAININGS
def test_an_image_without_objects_beside_others_is_good(training: Training) -> None:
    training(new_model(), [*busy_samples(0), sample([], [])])


IMAGE = busy_samples(3, count=1)[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_at_inference_an_image_that_is_not_finite_is_refused_by_its_place(value: float) -> None:
    model = new_model().eval()
    images = [torch.rand(3, 64, 64), torch.rand(3, 64, 64)]
    images[1][2, 5, 7] = value
    with pytest.raises(DataError, match="image 1 of the batch: holds NaN or infinite numbers"):
        model(images)


@pytest.mark.parametrize("shape", [(64, 64), (1, 64, 64), (3, 0, 64)])
def test_at_inference_an_image_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"image 0 of the batch: shape \[.*\]; \[3, H, W\] is needed"):
        new_model().eval()([torch.rand(*shape)])


def test_at_inference_bytes_are_refused_by_their_place_and_so_is_an_empty_batch() -> None:
    model = new_model().eval()
    with pytest.raises(DataError, match="image 1 of the batch: uint8; floating-point numbers from 0 to 1 are needed"):
        model([torch.rand(3, 64, 64), torch.zeros(3, 64, 64, dtype=torch.uint8)])
    with pytest.raises(DataError, match="a batch without images"):
        model([])


def segment(boxes: list[list[float]], labels: list[int]) -> list[Rle]:
    """Masks on one image, for labels 0-based."""
    model = new_model().eval()
    box_tensor, label_tensor = torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64) + 1
    ground_truth = {"boxes": box_tensor, "labels": label_tensor, "scores": torch.ones(len(boxes))}
    return segment_boxes(model, model.encode([IMAGE.image_tensor()]), ground_truth).masks


@pytest.mark.parametrize("label", [-1, 5, 3000])
def test_a_class_that_the_weights_lack_is_refused_at_inference(label: int) -> None:
    message = rf"image 0 of the batch: box 1 is of class {label}, but the model knows classes 0 to 4"
    with pytest.raises(DataError, match=message):
        segment([[5, 5, 30, 30], [5, 5, 30, 30]], [4, label])


def test_a_given_box_that_is_not_finite_is_refused_at_inference() -> None:
    with pytest.raises(DataError, match=r"image 0 of the batch: box 0 is \[5.0, nan, 30.0, 30.0\]; finite"):
        segment([[5, float("nan"), 30, 30]], [1])


@pytest.mark.parametrize(
    "box", [[10, 10, 10, 10], [10, 10, 10, 40], [40, 40, 10, 10], [-9, -9, -1, -1], [500, 500, 600, 600]]
)
def test_a_given_box_without_area_or_outside_the_image_has_at_most_a_line_for_a_mask(box: list[float]) -> None:
    (mask,) = segment([box], [2])
    assert mask.size == IMAGE.image.shape[:2]
    assert bitmap(mask).sum() <= 31


def test_no_box_to_segment_is_good() -> None:
    assert segment([], []) == []


@pytest.mark.parametrize("cached_proposals", [None, 1])
def test_a_detector_that_diverged_is_found_out_by_its_features_and_the_images_named(
    cached_proposals: int | None,
) -> None:
    model = new_model()
    freeze(model.detector)
    model.detector.backbone.merge.lateral[0][0].weight.fill_(float("inf"))
    with pytest.raises(DataError, match="coco-000000000000: the detector's RoI features are not"):
        sampled_rois(model.detector, busy_samples(0), cached_proposals)


def test_features_too_large_for_half_precision_are_not_cached() -> None:
    model = new_model()
    freeze(model.detector)
    model.detector.backbone.merge.lateral[0][0].weight.mul_(1e7)
    with pytest.raises(DataError, match=r"RoI features are not finite \(float16\)"):
        cache_rois(model.detector, iter([busy_samples(0)]), per_object=0, kind="gt")


def test_a_model_folder_whose_weights_do_not_fit_its_vocabulary_is_refused(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path / "data", random_world(0, 2, ["cup", "dog"])[0], ["cup", "dog"]))
    model = new_model()  # of five classes
    save_model(f"{tmp_path}/model", LoadedModel(model, model.config, dataset.vocabulary, ()), {"seed": 0})
    with pytest.raises(CheckpointError, match=r"model: the weights do not fit config.json and the 3 classes of vocab"):
        load_model(f"{tmp_path}/model")
