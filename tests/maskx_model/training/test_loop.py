"""The loop: its schedules, and going on after a stop as if there had been none."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn

from data_prep.storage.errors import ConfigError, DataError, MaskxError
from maskx_model.schedules import Schedule
from maskx_model.training.checkpoint import load_training_state
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.loop import train
from maskx_model.training.metric_sink import Observers
from maskx_model.training.optimizer import learning_rate_factor
from maskx_model.training.sitting import Session
from maskx_model.training.task import Losses
from tests.maskx_model.training.small_training import ORIGIN, batches, run, schedule_of, small_net, task


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_going_on_after_a_stop_gives_the_same_weights_and_metrics(tmp_path: Path, optimizer: str) -> None:
    whole, stopped, resumed = small_net(), small_net(), small_net()
    expected = run(whole, schedule_of(10, optimizer))
    checkpoints = Checkpoints(str(tmp_path), ORIGIN)

    class StopError(Exception):
        pass

    def stopping(start: int) -> Iterator[Tensor]:
        for step, batch in enumerate(batches(start), start):
            if step == 8:
                raise StopError
            yield batch

    with pytest.raises(StopError):
        run(stopped, schedule_of(10, optimizer), checkpoints, stopping)
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == ["step-00000003", "step-00000006"]
    torch.manual_seed(12345)  # a new process is in no known random state
    assert run(resumed, schedule_of(10, optimizer), checkpoints) == expected
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_metrics_are_logged_as_often_as_asked_and_at_the_end() -> None:
    lines = [msgspec.json.decode(line) for line in run(small_net(), schedule_of(10)).splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 10]
    assert set(lines[0]) == {"step", "learning_rate", "loss", "fit", "size"}
    assert lines[0]["loss"] == pytest.approx(lines[0]["fit"] + lines[0]["size"], rel=1e-5)


def test_training_lowers_the_loss_and_leaves_frozen_parameters_alone() -> None:
    net = small_net()
    next(net.children()).requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    lines = [msgspec.json.decode(line) for line in run(net, schedule_of(80)).splitlines()]
    assert sum(line["loss"] for line in lines[-3:]) < 0.8 * sum(line["loss"] for line in lines[:3])
    assert torch.equal(net.state_dict()["0.weight"], before["0.weight"])
    assert not torch.equal(net.state_dict()["3.weight"], before["3.weight"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_parts(value: float) -> None:
    net = small_net()

    def loss(batch: Tensor) -> Losses:
        return {"fit": net(batch).mean() * value, "size": torch.tensor(2.0)}

    with pytest.raises(MaskxError, match=r"stage X, step 0: the loss is not finite \(fit (nan|-?inf), size 2\); lower"):
        train(task(net, loss, title="stage X"), schedule_of(3), 0.05, 0)


def test_gradients_are_clipped_to_the_norm_asked_for() -> None:
    net = nn.Linear(2, 1, bias=False)
    before = net.weight.detach().clone()
    schedule = Schedule(steps=1, warmup_steps=0, momentum=0.0, weight_decay=0.0, clip_norm=0.5)
    train(task(net, lambda _: {"big": 1000 * net.weight.sum()}), schedule, 0.1, 0)
    assert (net.weight - before).norm().item() == pytest.approx(0.05, rel=1e-4)


def test_the_papers_schedule_warms_up_from_a_third_and_steps_down_twice() -> None:
    schedule = Schedule(steps=90_000, milestones=(60_000, 80_000))
    factors = [learning_rate_factor(schedule, step) for step in (0, 250, 500, 59_999, 60_000, 79_999, 80_000, 89_999)]
    assert factors == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_cosine_falls_from_one_to_nearly_nothing() -> None:
    schedule = Schedule(steps=100, decay="cosine", warmup_steps=0)
    factors = [learning_rate_factor(schedule, step) for step in range(100)]
    assert factors[0] == 1 and factors[50] == pytest.approx(0.5) and 0 < factors[99] < 0.001
    assert factors == sorted(factors, reverse=True)


def test_a_schedule_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps: at least one is needed, got 0"):
        Schedule(steps=0)


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


def test_a_rehearsal_makes_three_steps_tells_what_they_cost_and_keeps_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = small_net()
    made: list[int] = []

    def counted(start: int) -> Iterator[Tensor]:
        for step, batch in enumerate(batches(start), start):
            made.append(step)
            yield batch

    session = Session(Checkpoints(str(tmp_path), ORIGIN), rehearsal=True)
    with caplog.at_level("INFO"):
        train(task(net, lambda batch: {"fit": net(batch).square().mean()}, counted), schedule_of(9), 0.1, 0, session)
    assert made == [0, 1, 2] and list(tmp_path.iterdir()) == []
    assert "test, step 0: 4 items" in caplog.text
    assert re.search(
        r"test: [\d.]+ s a step, [\d.]+ GB of memory at most; 9 steps would take [\d.]+ hours", caplog.text
    )


def test_a_step_that_does_not_fit_into_memory_names_what_to_lower() -> None:
    net = small_net()

    def loss(_: Tensor) -> Losses:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB\nand more")

    message = r"test, step 0: CUDA out of memory.*; lower --images-per-batch \(16\), or .*accumulate=2\), or --min-size"
    with pytest.raises(MaskxError, match=message):
        train(task(net, loss), schedule_of(3), 0.05, 0)


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


def test_the_trained_weights_are_the_moving_average_and_a_stop_does_not_change_it(tmp_path: Path) -> None:
    steps: list[Tensor] = []

    def trained(steps_made: int, folder: str) -> nn.Module:
        net = nn.Linear(3, 1, bias=False)
        nn.init.ones_(net.weight)
        schedule = Schedule(steps=steps_made, warmup_steps=0, checkpoint_every=1, average=0.9)

        def loss(batch: Tensor) -> Losses:
            steps.append(net.weight.detach().clone())
            return {"fit": net(batch).square().mean()}

        train(task(net, loss), schedule, 0.1, 0, Session(Checkpoints(f"{tmp_path}/{folder}", ORIGIN)))
        return net

    net = trained(3, "whole")
    trained(2, "stopped")
    assert torch.equal(trained(3, "stopped").state_dict()["weight"], net.state_dict()["weight"])
    second, third = steps[1], steps[2]
    assert not torch.equal(net.state_dict()["weight"], third)
    assert min(second.min(), third.min()) < net.state_dict()["weight"].mean() < steps[0].max()


def test_the_best_checkpoint_stays_beside_the_newest_two(tmp_path: Path) -> None:
    net = small_net()

    class Scores:
        every, best_by = 2, "score"

        def __call__(self, step: int, module: nn.Module) -> dict[str, float]:
            assert module is net
            return {"score": 1.0 if step == 4 else 0.0}

    session = Session(Checkpoints(str(tmp_path), ORIGIN), Observers(watch=Scores()))
    train(task(net, lambda batch: {"fit": net(batch).square().mean()}), schedule_of(13), 0.1, 0, session)
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == ["step-00000004", "step-00000010", "step-00000012"]


def test_the_sink_gets_losses_learning_rate_and_the_machines_figures() -> None:
    net = small_net()
    seen: list[tuple[int, set[str]]] = []
    closed = []

    class Sink:
        def begin(self, part: str) -> None:
            raise AssertionError(f"a training without parts has begun {part}")

        def write(self, step: int, values: Mapping[str, float]) -> None:
            seen.append((step, set(values)))

        def close(self) -> None:
            closed.append(True)

    session = Session(observers=Observers(sink=Sink()))
    train(task(net, lambda batch: {"fit": net(batch).square().mean()}), schedule_of(6), 0.1, 0, session)
    machine = {"system/images_per_second", "system/data_wait", "system/memory_bytes", "system/seconds_left"}
    assert seen == [(step, {"loss", "fit", "learning_rate", *machine}) for step in (4, 6)] and closed == [True]
