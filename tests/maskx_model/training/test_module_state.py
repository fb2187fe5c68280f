"""A module and its optimizer, taken to a file and back, go on as if nothing had been."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from maskx_model.schedules import Schedule
from maskx_model.training.module_state import capture, restore
from maskx_model.training.optimizer import build_optimizer


def convolution() -> nn.Module:
    """Its weights lie in memory as a detector's do: channels last."""
    torch.manual_seed(0)
    return nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)


def step(module: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    module(images.contiguous(memory_format=torch.channels_last)).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_training_that_is_taken_up_again_makes_the_same_steps(kind: Literal["sgd", "adamw"]) -> None:
    schedule = Schedule(steps=4, optimizer=kind)
    module = convolution()
    optimizer = build_optimizer(module, schedule)
    step(module, optimizer, 0)
    state = capture(1, module, optimizer, b"")
    written = save({name: value.contiguous() for name, value in state.tensors.items()})
    step(module, optimizer, 1)
    again = convolution()
    its_own = build_optimizer(again, schedule)
    restore(replace(state, tensors=load(written)), again, its_own)
    step(again, its_own, 1)
    for name, value in module.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
