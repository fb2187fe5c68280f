"""Checkpoints: found again, refused where they belong to another training, and passed over where they are damaged."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from data_prep.storage.errors import CheckpointError
from maskx_model.training.checkpoint import load_training_state
from maskx_model.training.checkpoints import Checkpoints
from tests.maskx_model.training.small_training import ORIGIN, run, schedule_of, small_net


def trained_checkpoints(folder: Path) -> Checkpoints:
    checkpoints = Checkpoints(str(folder), ORIGIN)
    run(small_net(), schedule_of(5), checkpoints)
    return checkpoints


def test_a_checkpoint_of_another_training_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    trained_checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match="a training that differs in rate, seed; choose another output folder"):
        load_training_state(str(tmp_path), {**ORIGIN, "seed": 1, "rate": 0.001})


def test_no_checkpoint_means_to_begin(tmp_path: Path) -> None:
    assert load_training_state(str(tmp_path), ORIGIN) is None


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
def test_a_checkpoint_that_was_cut_is_named(tmp_path: Path, name: str) -> None:
    trained_checkpoints(tmp_path)
    file = tmp_path / "checkpoint" / "step-00000003" / name
    cut_in_half(file)
    with pytest.raises(CheckpointError, match=rf"step-00000003.*{name}"):
        load_training_state(str(tmp_path), ORIGIN)


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "metrics.jsonl"])
def test_a_checkpoint_that_lacks_a_file_is_named(tmp_path: Path, name: str) -> None:
    trained_checkpoints(tmp_path)
    (tmp_path / "checkpoint" / "step-00000003" / name).unlink()
    with pytest.raises(CheckpointError, match=rf"step-00000003.*{name}"):
        load_training_state(str(tmp_path), ORIGIN)


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file: Path) -> None:
    """In a string, whose bytes are then no UTF-8."""
    file.write_bytes(file.read_bytes().replace(b'"seed"', b'"\xf3eed"'))


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        *itertools.product([cut_in_half, Path.unlink], ["state.safetensors", "state.json", "metrics.jsonl"]),
        (flip_a_bit, "state.json"),
    ],
)
def test_training_resumes_from_the_older_checkpoint_where_the_newest_is_damaged(
    tmp_path: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    whole, checkpoints = small_net(), Checkpoints(str(tmp_path), ORIGIN)
    expected = run(whole, schedule_of(10), checkpoints)
    folder = tmp_path / "checkpoint"
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000006", "step-00000009"]
    damage(folder / "step-00000009" / name)
    state = load_training_state(str(tmp_path), ORIGIN)
    assert state is not None and state.step == 6
    assert "step-00000009" in caplog.text and "looking for an older one" in caplog.text
    resumed = small_net()
    assert run(resumed, schedule_of(10), checkpoints) == expected
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_a_damaged_checkpoint_takes_no_whole_ones_place(tmp_path: Path) -> None:
    """Two whole ones stay, also where the training resumes from the older one and saves at other steps than before."""
    checkpoints = Checkpoints(str(tmp_path), ORIGIN)
    run(small_net(), schedule_of(10), checkpoints)
    cut_in_half(tmp_path / "checkpoint" / "step-00000009" / "state.safetensors")
    run(small_net(), schedule_of(9, checkpoint_every=7), checkpoints)
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == ["step-00000006", "step-00000007"]
    state = load_training_state(str(tmp_path), ORIGIN)
    assert state is not None and state.step == 7


def test_an_older_checkpoint_of_another_training_is_refused_too(tmp_path: Path) -> None:
    run(small_net(), schedule_of(10), Checkpoints(str(tmp_path), ORIGIN))
    cut_in_half(tmp_path / "checkpoint" / "step-00000009" / "state.safetensors")
    with pytest.raises(CheckpointError, match="step-00000006: belongs to a training that differs in seed"):
        load_training_state(str(tmp_path), {**ORIGIN, "seed": 1})


def test_a_checkpoint_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    trained_checkpoints(tmp_path)
    half = tmp_path / "checkpoint" / ".step-00000004.123.partial"
    half.mkdir()
    (half / "state.safetensors").write_bytes(b"half")
    state = load_training_state(str(tmp_path), ORIGIN)
    assert state is not None and state.step == 3
