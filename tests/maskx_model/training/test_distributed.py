"""Several ranks, real processes on the CPU: what one learns, all learn together; and what stops one stops all."""

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

from data_prep.format.reader import Dataset
from maskx_model.artifacts.tensors import load_tensors
from tests.maskx_model.conftest import VAL_IMAGES
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.maskx_model.training.rank_tasks import (
    batch_norm_over_ranks,
    evaluate_on_rank,
    fit_line,
    look_while_training,
    stalled,
    train_stage,
    train_with_seed_of_rank,
)
from tests.maskx_model.training.ranks import errors_on_ranks, on_ranks, torchrun
from tests.processes import REPOSITORY, wait_for

STEPS = 4


def trained(ranks: int, stage: str, dataset: Dataset, detector: str, out: Path) -> Path:
    on_ranks(ranks, train_stage, stage, dataset.uri, detector, str(out), STEPS)
    return out


def assert_learned_alike(a: Path, b: Path) -> None:
    """Losses of each step to 1e-5; weights as far as a few steps carry rounding on."""
    one, other = (
        [msgspec.json.decode(line) for line in (each / "metrics.jsonl").read_bytes().splitlines()] for each in (a, b)
    )
    assert len(one) == len(other) > 0
    for own, expected in zip(one, other, strict=True):
        assert own == pytest.approx(expected, rel=1e-5, abs=1e-6)
    weights, others = (load_tensors(f"{each}/model.safetensors") for each in (a, b))
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize("stage", ["detector", "crops", "masks", "masks_cached", "joint"])
def test_two_ranks_learn_what_one_does(toy_dataset: Dataset, detector: str, tmp_path: Path, stage: str) -> None:
    one, two = (trained(ranks, stage, toy_dataset, detector, tmp_path / str(ranks)) for ranks in (1, 2))
    assert_learned_alike(one, two)


def test_four_ranks_learn_what_one_does(toy_dataset: Dataset, tmp_path: Path) -> None:
    one, four = (trained(ranks, "detector", toy_dataset, "", tmp_path / str(ranks)) for ranks in (1, 4))
    assert_learned_alike(one, four)


@pytest.mark.parametrize("first", [3, 8])
def test_a_batch_norm_over_ranks_is_that_of_the_whole_batch(first: int) -> None:
    assert on_ranks(2, batch_norm_over_ranks, first) == ["same", "same"]


def test_a_training_resumes_on_another_number_of_ranks(tmp_path: Path) -> None:
    (whole,) = on_ranks(1, fit_line, "fine", f"{tmp_path}/whole", 12)
    part = on_ranks(2, fit_line, "fine", f"{tmp_path}/part", 7)
    assert part[0] == part[1] != whole
    (rest,) = on_ranks(1, fit_line, "fine", f"{tmp_path}/part", 12)
    assert msgspec.json.decode(rest)[0] == pytest.approx(msgspec.json.decode(whole)[0], rel=1e-5)


def test_a_rank_without_a_positive_keeps_the_others_going(tmp_path: Path) -> None:
    first, second = on_ranks(2, fit_line, "without a positive", str(tmp_path), 3)
    assert first == second != "[[1.0, 1.0, 1.0]]"


def test_what_is_not_finite_on_one_rank_stops_all_and_names_its_images(tmp_path: Path) -> None:
    said = errors_on_ranks(2, fit_line, "not finite", str(tmp_path), 9)
    expected = "lines, step 3 (images image-of-rank-1): the loss is not finite (fit nan); lower the learning rate"
    assert [each.removesuffix(" (--learning-rate)") for each in said] == [expected] * 2


def test_ranks_that_were_started_differently_are_told_apart(toy_dataset: Dataset, tmp_path: Path) -> None:
    said = errors_on_ranks(2, train_with_seed_of_rank, toy_dataset.uri, str(tmp_path))
    assert all("ranks 0 and 1 differ in seed: 0 and 1; start all ranks with the same command" in each for each in said)
    assert not (tmp_path / "manifest.json").exists()


def test_a_batch_that_ranks_cannot_share_is_refused(tmp_path: Path) -> None:
    assert all(
        "4 in a batch cannot be shared evenly by 3 ranks; choose a multiple of 3 (--points)" in each
        for each in errors_on_ranks(3, fit_line, "", str(tmp_path), 1)
    )


def test_the_rank_that_keeps_the_others_waiting_is_named() -> None:
    said = on_ranks(2, stalled)
    assert all(each.startswith("waiting for rank 1, waiting for data for ") and "(step 3)" in each for each in said)


def test_ranks_share_an_evaluation(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    trained(1, "masks", toy_dataset, detector, tmp_path / "masks")
    one, two = tmp_path / "1", tmp_path / "2"
    for out, shares in ((one, [VAL_IMAGES]), (two, [VAL_IMAGES // 2] * 2)):
        said = on_ranks(len(shares), evaluate_on_rank, f"{tmp_path}/masks", toy_dataset.uri, str(out))
        assert said == [str(share) for share in shares]
    for file in ("metrics.json", "per_class.csv", "predictions-transfer.json"):
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


@pytest.mark.parametrize("images", [7, 1])
def test_ranks_share_a_look_and_the_first_tells_what_one_would(tmp_path: Path, images: int) -> None:
    names = ["cup", "chair", "dog"]
    data = write_dataset(tmp_path / "data", random_world(0, 10, names)[0], names)
    model = write_model(tmp_path / "model", names, "transfer", seed=3)
    (one,), two = (
        [msgspec.json.decode(said) for said in on_ranks(ranks, look_while_training, model, data, images)]
        for ranks in (1, 2)
    )
    assert one["read"] == images and (any(one["seen"].values()) or images == 1)
    assert [each["seen"] for each in two] == [one["seen"], {}]
    assert [each["read"] for each in two] == [images - images // 2, images // 2]


@pytest.mark.slow
def test_sigterm_ends_all_ranks_after_their_step_and_no_step_is_lost(tmp_path: Path) -> None:
    process = torchrun(2, "tests.maskx_model.training.rank_tasks", "slow", f"{tmp_path}/part", "2000")
    wait_for("a checkpoint", lambda: any((tmp_path / "part" / "checkpoint").glob("step-*/state.json")), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    newest = max(int(each.name.removeprefix("step-")) for each in (tmp_path / "part" / "checkpoint").iterdir())
    assert f"lines: SIGTERM; step {newest} is saved (in " in errors and "so that no step is lost" in errors


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_ends_one_process_after_its_step_with_its_code(
    tmp_path: Path, number: signal.Signals, name: str
) -> None:
    command = [sys.executable, "-m", "tests.maskx_model.training.rank_tasks", "slow", f"{tmp_path}/part", "2000"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("a checkpoint", lambda: any((tmp_path / "part" / "checkpoint").glob("step-*/state.json")), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    newest = max(int(each.name.removeprefix("step-")) for each in (tmp_path / "part" / "checkpoint").iterdir())
    assert f"lines: {name}; step {newest} is saved (in " in errors
