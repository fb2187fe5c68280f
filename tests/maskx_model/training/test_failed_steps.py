"""A step that fails: the error names the step and the remedy, and nothing of it is kept."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from data_prep.storage.errors import DataError, MaskxError
from maskx_model.schedules import Schedule
from maskx_model.training.checkpoint import load_training_state
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.loop import train
from maskx_model.training.session import Session
from maskx_model.training.task import Losses
from tests.maskx_model.training.small_training import ORIGIN, batches, schedule_of, small_net, task


def state_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def assert_unchanged(net: nn.Module, before: dict[str, Tensor]) -> None:
    assert [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])] == []


SPOILED = {
    "a NaN loss": (lambda fit: fit * math.nan, r"the loss is not finite \(fit nan\)"),
    "a NaN gradient of a finite loss": (lambda fit: (fit * 0).sqrt() + 1, r"the gradient is not finite \(0.weight\)"),
}


def spoiled(net: nn.Module, how: Callable[[Tensor], Tensor], bad: Tensor) -> Callable[[Tensor], Losses]:
    """A loss that `how` spoils on that one batch."""

    def loss(batch: Tensor) -> Losses:
        fit = net(batch).square().mean()
        return {"fit": how(fit) if torch.equal(batch, bad) else fit}

    return loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_parts(value: float) -> None:
    net = small_net()

    def loss(batch: Tensor) -> Losses:
        return {"fit": net(batch).mean() * value, "size": torch.tensor(2.0)}

    with pytest.raises(MaskxError, match=r"stage X, step 0: the loss is not finite \(fit (nan|-?inf), size 2\); lower"):
        train(task(net, loss, title="stage X"), schedule_of(3), 0.05, 0)


@pytest.mark.parametrize("name", SPOILED)
def test_a_step_that_fails_changes_neither_weights_nor_running_statistics_nor_the_checkpoint(
    tmp_path: Path, name: str
) -> None:
    how, message = SPOILED[name]
    steps = list(batches(0))
    net, without_it = small_net(), small_net()

    def keys(batch: Tensor) -> list[str]:
        return [f"p{next(n for n, each in enumerate(steps) if torch.equal(each, batch))}"]

    schedule, checkpoints = schedule_of(6), Checkpoints(str(tmp_path), ORIGIN)
    with pytest.raises(MaskxError, match=rf"test, step 4 \(images p4\): {message}; lower the learning rate"):
        train(replace(task(net, spoiled(net, how, steps[4])), keys=keys), schedule, 0.05, 1, Session(checkpoints))
    with pytest.raises(RuntimeError, match="the batches end before step 4"):
        train(
            task(without_it, spoiled(without_it, how, steps[4]), lambda start: iter(steps[start:4])), schedule, 0.05, 1
        )
    assert_unchanged(net, state_of(without_it))
    state = load_training_state(str(tmp_path), ORIGIN)
    assert state is not None and state.step == 3
    assert all(bool(torch.isfinite(value).all()) for value in state.tensors.values())


@pytest.mark.parametrize("spoiled_part", [0, 1])
def test_an_accumulated_step_names_its_images_whichever_part_is_not_finite(spoiled_part: int) -> None:
    net = small_net()
    bad = next(iter(batches(0))).chunk(2)[spoiled_part]
    spoils = replace(task(net, spoiled(net, lambda fit: fit * math.nan, bad)), keys=lambda _: ["p0"])
    with pytest.raises(MaskxError, match=r"test, step 0 \(images p0\): the loss is not finite \(fit nan\)"):
        train(spoils, replace(schedule_of(3), accumulate=2), 0.05, 0)


def test_an_error_of_the_data_leaves_the_module_as_it_was_too() -> None:
    net = small_net()

    def loss(batch: Tensor) -> Losses:
        net(batch)
        raise DataError("coco-000000000001: no")

    before = state_of(net)
    with pytest.raises(DataError, match="coco-000000000001"):
        train(task(net, loss), schedule_of(3), 0.05, 0)
    assert_unchanged(net, before)


@pytest.mark.parametrize("checkpoint_every", [1, 100])
def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, checkpoint_every: int) -> None:
    """The last step throws them out of range, so no later loss can tell."""
    net = nn.Linear(3, 1)
    schedule = Schedule(steps=1, warmup_steps=0, checkpoint_every=checkpoint_every)
    checkpoints = Checkpoints(str(tmp_path), ORIGIN)
    with pytest.raises(MaskxError, match="test, step 0: weight is not finite; lower the learning rate"):
        train(task(net, lambda _: {"fit": 1e4 * net.weight.sum()}), schedule, 1e38, 0, Session(checkpoints))
    assert load_training_state(str(tmp_path), ORIGIN) is None


def test_a_step_that_does_not_fit_into_memory_names_what_to_lower() -> None:
    net = small_net()

    def loss(_: Tensor) -> Losses:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB\nand more")

    message = r"test, step 0: CUDA out of memory.*; lower --images-per-batch \(16\), or .*accumulate=2\), or --min-size"
    with pytest.raises(MaskxError, match=message):
        train(task(net, loss), schedule_of(3), 0.05, 0)
