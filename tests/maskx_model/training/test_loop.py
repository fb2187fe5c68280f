"""The loop: its schedules, and going on after a stop as if there had been none."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn

from data_prep.storage.errors import CheckpointError, ConfigError, DataError, MaskxError
from maskx_model.artifacts.origin import Origin
from maskx_model.config import Schedule
from maskx_model.training.checkpoint import load_training_state
from maskx_model.training.loop import Place, rate_factor, train
from maskx_model.training.step import Losses

ORIGIN: Origin = {"dataset": "abc", "seed": 0, "rate": 0.003}


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))


def batches(start: int) -> Iterator[Tensor]:
    for step in range(start, 100):
        yield torch.randn(4, 3, generator=torch.Generator().manual_seed(step))


Batches = Callable[[int], Iterator[Tensor]]


def run(net: nn.Module, schedule: Schedule, place: Place | None = None, source: Batches = batches) -> bytes:
    def loss(batch: Tensor) -> Losses:
        return {"fit": (net(batch) - batch.sum(1, keepdim=True)).square().mean(), "size": 0.1 * net(batch).abs().mean()}

    return train(net, source, loss, schedule, learning_rate=0.05, seed=1, title="test", place=place)


def schedule_of(steps: int, optimizer: str = "sgd", checkpoint_every: int = 3) -> Schedule:
    settings = {"steps": steps, "optimizer": optimizer, "checkpoint_every": checkpoint_every, "log_every": 4}
    return msgspec.convert({**settings, "warmup_steps": 2, "decay": "cosine", "clip_norm": 1.0}, Schedule)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_going_on_after_a_stop_gives_the_same_weights_and_metrics(tmp_path: Path, optimizer: str) -> None:
    whole, stopped, resumed = small_net(), small_net(), small_net()
    expected = run(whole, schedule_of(10, optimizer))
    place = Place(str(tmp_path), ORIGIN)

    class StopError(Exception):
        pass

    def stopping(start: int) -> Iterator[Tensor]:
        for step, batch in enumerate(batches(start), start):
            if step == 8:
                raise StopError
            yield batch

    with pytest.raises(StopError):
        run(stopped, schedule_of(10, optimizer), place, stopping)
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == ["step-00000003", "step-00000006"]
    torch.manual_seed(12345)  # a new process is in no known random state
    assert run(resumed, schedule_of(10, optimizer), place) == expected
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
        train(net, batches, loss, schedule_of(3), 0.05, 0, "stage X")


def test_gradients_are_clipped_to_the_norm_asked_for() -> None:
    net = nn.Linear(2, 1, bias=False)
    before = net.weight.detach().clone()
    schedule = Schedule(steps=1, warmup_steps=0, momentum=0.0, weight_decay=0.0, clip_norm=0.5)
    train(net, batches, lambda _: {"big": 1000 * net.weight.sum()}, schedule, 0.1, 0, "test")
    assert (net.weight - before).norm().item() == pytest.approx(0.05, rel=1e-4)


def test_the_papers_schedule_warms_up_from_a_third_and_steps_down_twice() -> None:
    schedule = Schedule(steps=90_000, milestones=(60_000, 80_000))
    factors = [rate_factor(schedule, step) for step in (0, 250, 500, 59_999, 60_000, 79_999, 80_000, 89_999)]
    assert factors == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_cosine_falls_from_one_to_nearly_nothing() -> None:
    schedule = Schedule(steps=100, decay="cosine", warmup_steps=0)
    factors = [rate_factor(schedule, step) for step in range(100)]
    assert factors[0] == 1 and factors[50] == pytest.approx(0.5) and 0 < factors[99] < 0.001
    assert factors == sorted(factors, reverse=True)


def test_a_schedule_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps: at least one is needed, got 0"):
        Schedule(steps=0)


def trained_place(folder: Path) -> Place:
    place = Place(str(folder), ORIGIN)
    run(small_net(), schedule_of(5), place)
    return place


def test_a_checkpoint_of_another_training_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    trained_place(tmp_path)
    with pytest.raises(CheckpointError, match="a training with another rate, seed; choose another output folder"):
        load_training_state(str(tmp_path), {**ORIGIN, "seed": 1, "rate": 0.001})


def test_no_checkpoint_means_to_begin(tmp_path: Path) -> None:
    assert load_training_state(str(tmp_path), ORIGIN) is None


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
def test_a_checkpoint_that_was_cut_is_named(tmp_path: Path, name: str) -> None:
    trained_place(tmp_path)
    file = tmp_path / "checkpoint" / "step-00000003" / name
    cut_in_half(file)
    with pytest.raises(CheckpointError, match=rf"step-00000003.*{name}"):
        load_training_state(str(tmp_path), ORIGIN)


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "metrics.jsonl"])
def test_a_checkpoint_that_lacks_a_file_is_named(tmp_path: Path, name: str) -> None:
    trained_place(tmp_path)
    (tmp_path / "checkpoint" / "step-00000003" / name).unlink()
    with pytest.raises(CheckpointError, match=rf"step-00000003.*{name}"):
        load_training_state(str(tmp_path), ORIGIN)


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("damage", [cut_in_half, Path.unlink])
@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "metrics.jsonl"])
def test_training_resumes_from_the_older_checkpoint_where_the_newest_is_damaged(
    tmp_path: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    whole, place = small_net(), Place(str(tmp_path), ORIGIN)
    expected = run(whole, schedule_of(10), place)
    checkpoints = tmp_path / "checkpoint"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-00000006", "step-00000009"]
    damage(checkpoints / "step-00000009" / name)
    state = load_training_state(str(tmp_path), ORIGIN)
    assert state is not None and state.step == 6
    assert "step-00000009" in caplog.text and "looking for an older one" in caplog.text
    resumed = small_net()
    assert run(resumed, schedule_of(10), place) == expected
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_a_damaged_checkpoint_takes_no_whole_ones_place(tmp_path: Path) -> None:
    """Two whole ones stay, also where the training resumes from the older one and saves at other steps than before."""
    place = Place(str(tmp_path), ORIGIN)
    run(small_net(), schedule_of(10), place)
    cut_in_half(tmp_path / "checkpoint" / "step-00000009" / "state.safetensors")
    run(small_net(), schedule_of(9, checkpoint_every=7), place)
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == ["step-00000006", "step-00000007"]
    state = load_training_state(str(tmp_path), ORIGIN)
    assert state is not None and state.step == 7


def test_an_older_checkpoint_of_another_training_is_refused_too(tmp_path: Path) -> None:
    run(small_net(), schedule_of(10), Place(str(tmp_path), ORIGIN))
    cut_in_half(tmp_path / "checkpoint" / "step-00000009" / "state.safetensors")
    with pytest.raises(CheckpointError, match="step-00000006: belongs to a training with another seed"):
        load_training_state(str(tmp_path), {**ORIGIN, "seed": 1})


def test_a_checkpoint_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    trained_place(tmp_path)
    half = tmp_path / "checkpoint" / ".step-00000004.123.partial"
    half.mkdir()
    (half / "state.safetensors").write_bytes(b"half")
    state = load_training_state(str(tmp_path), ORIGIN)
    assert state is not None and state.step == 3


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

    schedule, place = schedule_of(6), Place(str(tmp_path), ORIGIN)
    with pytest.raises(MaskxError, match=rf"test, step 4 \(images p4\): {message}; lower the learning rate"):
        train(net, batches, spoiled(net, how, steps[4]), schedule, 0.05, 1, "test", place, keys)
    train(without_it, lambda start: steps[start:4], spoiled(without_it, how, steps[4]), schedule, 0.05, 1, "test")
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
        train(net, batches, loss, schedule_of(3), 0.05, 0, "test")
    assert_unchanged(net, before)


@pytest.mark.parametrize("checkpoint_every", [1, 100])
def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, checkpoint_every: int) -> None:
    """The last step throws them out of range, so no later loss can tell."""
    net = nn.Linear(3, 1)
    schedule = Schedule(steps=1, warmup_steps=0, checkpoint_every=checkpoint_every)
    place = Place(str(tmp_path), ORIGIN)
    with pytest.raises(MaskxError, match="test, step 0: weight is not finite; lower the learning rate"):
        train(net, batches, lambda _: {"fit": 1e4 * net.weight.sum()}, schedule, 1e38, 0, "test", place)
    assert load_training_state(str(tmp_path), ORIGIN) is None
