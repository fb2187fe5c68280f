"""A look at a model while it trains: the numbers of an evaluation, and a training that does not notice."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data_prep.format.reader import Dataset
from data_prep.pages.drawing import Picture
from data_prep.storage.errors import DataError
from maskx_model.artifacts.model_folder import load_model
from maskx_model.config import MaskConfig
from maskx_model.evaluation.branch_on_detector import BranchOnDetector
from maskx_model.evaluation.options import EvaluationOptions
from maskx_model.evaluation.run_models import evaluate_models
from maskx_model.evaluation.validation_slice import SHOWN, Slice, ValidationSlice
from maskx_model.model.maskx_rcnn import MaskXRCNN
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

NAMES = ["cup", "chair", "dog"]
IMAGES = 6


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data` with 10 images, and the models `transfer` and `detector` with equal detectors; A is cup."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 10, NAMES)[0], NAMES)
    write_model(folder / "transfer", NAMES, "transfer", seed=3)
    write_model(folder / "detector", NAMES, None, seed=3)
    return folder


def slice_of(world: Path, images: int = IMAGES, source: str = "coco") -> Slice:
    return Slice(Dataset.open(f"{world}/data"), source, frozenset({0}), images)


def trained(world: Path, name: str) -> nn.Module:
    return load_model(f"{world}/{name}", "cpu").model


@pytest.mark.parametrize("name", ["transfer", "detector"])
def test_the_numbers_are_those_of_an_evaluation_on_the_same_images(world: Path, name: str) -> None:
    masks = name == "transfer"
    found = ValidationSlice(slice_of(world), 5, masks)(5, trained(world, name))
    options = EvaluationOptions(max_images=IMAGES)
    whole = f"{world}/transfer"  # an evaluation of a detector alone would know no A
    assert any(found.values())
    result = evaluate_models(Dataset.open(f"{world}/data"), [whole], options, "cpu", {}).result
    measured = {"box": result.box_ap["transfer"]} | ({"mask": result.ap["transfer"]} if masks else {})
    assert found == {f"val/{what}_ap_{part.lower()}": ap[part] for what, ap in measured.items() for part in ("A", "B")}


def test_a_look_leaves_modes_weights_and_random_numbers_as_they_were(world: Path) -> None:
    model = trained(world, "transfer").train()
    assert isinstance(model, MaskXRCNN)
    model.detector.eval()
    modes = [each.training for each in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    ValidationSlice(slice_of(world), 5, masks=True)(5, model)
    assert torch.equal(torch.rand(4), expected)
    assert [each.training for each in model.modules()] == modes
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_a_branch_on_its_detector_is_measured_as_the_whole_model_and_follows_the_branch(world: Path) -> None:
    model = trained(world, "transfer")
    assert isinstance(model, MaskXRCNN)
    branch_config = model.config.mask
    assert isinstance(branch_config, MaskConfig)
    branch = model.mask_branch.train()
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    shown: list[Picture] = []

    def new_look() -> ValidationSlice:
        whole = BranchOnDetector(f"{world}/detector", branch_config)
        return ValidationSlice(slice_of(world), 5, masks=True, whole=whole, show=lambda *each: shown.append(each[2]))

    look = new_look()
    first = look(5, branch)
    assert torch.equal(torch.rand(4), expected)
    assert branch.training
    assert first == ValidationSlice(slice_of(world), 5, masks=True)(5, model)
    optimizer = torch.optim.AdamW(branch.parameters(), lr=1.0, fused=True)
    for parameter in branch.parameters():
        parameter.grad = parameter.detach().clone()
    optimizer.step()
    assert look(10, branch) == new_look()(10, branch)
    first_shown, then_shown, expected_shown = shown[:SHOWN], shown[SHOWN : 2 * SHOWN], shown[2 * SHOWN :]
    assert all((before != after).any() for before, after in zip(first_shown, then_shown, strict=True))
    assert all((own == other).all() for own, other in zip(then_shown, expected_shown, strict=True))


def test_the_best_checkpoint_is_chosen_by_a_alone(world: Path) -> None:
    assert ValidationSlice(slice_of(world), 5, masks=True).best_by == "val/mask_ap_a"
    assert ValidationSlice(slice_of(world), 5, masks=False).best_by == "val/box_ap_a"


@pytest.mark.parametrize("name", ["transfer", "detector"])
def test_the_same_images_are_shown_at_every_look(world: Path, name: str) -> None:
    shown: list[tuple[int, str, Picture]] = []
    look = ValidationSlice(slice_of(world), 5, name == "transfer", show=lambda *each: shown.append(each))
    model = trained(world, name)
    look(5, model)
    look(10, model)
    assert [step for step, *_ in shown] == [5] * SHOWN + [10] * SHOWN
    assert [key for _, key, _ in shown[:SHOWN]] == [key for _, key, _ in shown[SHOWN:]]
    assert all(picture.dtype == np.uint8 and picture.shape[2] == 3 for *_, picture in shown)


def test_images_that_are_not_there_are_refused_before_the_training(world: Path) -> None:
    with pytest.raises(DataError, match="source 'vg' annotates no class of the vocabulary exhaustively"):
        ValidationSlice(slice_of(world, source="vg"), 5, masks=True)
    with pytest.raises(DataError, match="no source 'lvis'"):
        ValidationSlice(slice_of(world, source="lvis"), 5, masks=True)
