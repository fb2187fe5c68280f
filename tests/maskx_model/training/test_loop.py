"""The loop: what it learns, logs and keeps, and going on after a stop as if there had been none."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn

from maskx_model.schedules import Schedule
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.loop import train
from maskx_model.training.metric_sink import Observers
from maskx_model.training.session import Session
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


@pytest.mark.parametrize("average", [None, 0.9])
def test_a_look_after_the_last_step_sees_the_trained_model(average: float | None) -> None:
    net = small_net()
    seen: list[dict[str, Tensor]] = []

    class Looks:
        every, best_by = 3, "score"

        def __call__(self, step: int, module: nn.Module) -> dict[str, float]:
            assert step == 3 * (len(seen) + 1)
            seen.append({name: value.clone() for name, value in module.state_dict().items()})
            return {}

    schedule = replace(schedule_of(6), average=average)
    fit = task(net, lambda batch: {"fit": net(batch).square().mean()})
    train(fit, schedule, 0.1, 0, Session(observers=Observers(watch=Looks())))
    early, late = seen
    assert late.keys() == net.state_dict().keys()
    assert all(torch.equal(late[name], value) for name, value in net.state_dict().items())
    assert not torch.equal(early["0.weight"], late["0.weight"])


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
