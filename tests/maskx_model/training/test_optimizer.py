"""The optimizer: what takes part in a training, and which weight decay it has."""

from typing import Literal

import pytest
import torch

from maskx_model.config import MaskConfig, MaskKind
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.schedules import Schedule
from maskx_model.training.optimizer import build_optimizer

RATE = 0.1


def branch_of(transfer_weight_decay: float | None, kind: MaskKind = "transfer") -> MaskBranch:
    torch.manual_seed(0)
    config = MaskConfig(
        kind=kind, transfer_input="cls", mlp="none", channels=4, transfer_weight_decay=transfer_weight_decay
    )
    return MaskBranch(config, in_channels=3, box_dim=5, num_classes=2)


def kept_by_a_step(branch: MaskBranch, optimizer: Literal["sgd", "adamw"]) -> dict[str, float]:
    """The share of each weight that a step without gradients leaves: biases start at 0 and are left out."""
    before = {name: value.clone() for name, value in branch.named_parameters() if value.any()}
    trained = build_optimizer(branch, Schedule(steps=1, optimizer=optimizer, weight_decay=0.5))
    for group in trained.param_groups:
        group["lr"] = RATE
    for parameter in branch.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trained.step()
    return {name: (branch.get_parameter(name).norm() / value.norm()).item() for name, value in before.items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_t_has_its_own_weight_decay_and_all_else_the_schedules(optimizer: Literal["sgd", "adamw"]) -> None:
    kept = kept_by_a_step(branch_of(4.0), optimizer)
    of_t = {name for name in kept if name.startswith("transfer.")}
    assert of_t and set(kept) - of_t
    for name, share in kept.items():
        assert share == pytest.approx(1 - RATE * (4.0 if name in of_t else 0.5), rel=1e-5), name


@pytest.mark.parametrize("branch", [branch_of(None), branch_of(4.0, "class_agnostic")])
def test_without_a_decay_of_its_own_or_without_t_all_weights_have_the_schedules(branch: MaskBranch) -> None:
    kept = kept_by_a_step(branch, "adamw")
    assert list(kept.values()) == pytest.approx([1 - RATE * 0.5] * len(kept), rel=1e-5)


def test_what_is_frozen_takes_no_part() -> None:
    branch = branch_of(4.0)
    branch.transfer.requires_grad_(False)
    trained = build_optimizer(branch, Schedule(steps=1))
    assert {each for group in trained.param_groups for each in group["params"]} == set(branch.features.parameters())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_torch_counts_a_step_as_a_change_of_the_weights(optimizer: Literal["sgd", "adamw"]) -> None:
    branch = branch_of(4.0)
    before = {name: parameter._version for name, parameter in branch.named_parameters()}
    kept_by_a_step(branch, optimizer)
    assert all(parameter._version > before[name] for name, parameter in branch.named_parameters())
