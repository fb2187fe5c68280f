"""What a step does with its gradients: they are clipped, and summed up over the parts of a batch."""

import pytest
import torch
from torch import nn

from data_prep.storage.errors import ConfigError
from maskx_model.schedules import Schedule
from maskx_model.training.loop import train
from tests.maskx_model.training.small_training import task


def test_gradients_are_clipped_to_the_norm_asked_for() -> None:
    net = nn.Linear(2, 1, bias=False)
    before = net.weight.detach().clone()
    schedule = Schedule(steps=1, warmup_steps=0, momentum=0.0, weight_decay=0.0, clip_norm=0.5)
    train(task(net, lambda _: {"big": 1000 * net.weight.sum()}), schedule, 0.1, 0)
    assert (net.weight - before).norm().item() == pytest.approx(0.05, rel=1e-4)


def test_gradients_accumulate_to_those_of_the_whole_batch() -> None:
    """Without batch norm and dropout, which see each part for itself."""
    weights = []
    for accumulate in (1, 2, 4):
        torch.manual_seed(0)
        net = nn.Linear(3, 1)
        schedule = Schedule(steps=5, warmup_steps=0, accumulate=accumulate)
        train(task(net, lambda batch, net=net: {"fit": net(batch).square().mean()}), schedule, 0.1, 0)  # type: ignore[misc]
        weights.append(net.weight.detach())
    assert all(torch.allclose(each, weights[0], rtol=1e-5) for each in weights)


def test_a_batch_that_does_not_fall_into_equal_parts_is_refused() -> None:
    net = nn.Linear(3, 1)
    with pytest.raises(ConfigError, match="accumulate: 4 images of a rank cannot be taken in 3 equal parts"):
        train(task(net, lambda batch: {"fit": net(batch).mean()}), Schedule(steps=1, accumulate=3), 0.1, 0)
