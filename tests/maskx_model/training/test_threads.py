"""How many threads a CPU computes a training with: the configuration says, and later work has its own again."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.cli.model_options import ComputeOptions
from maskx_model.config import Compute
from maskx_model.report.evaluate import evaluate
from maskx_model.training.metric_sink import Observers
from maskx_model.training.stages import train_detector, train_joint, train_masks
from tests.maskx_model.tiny_presets import tiny


class ThreadCount:
    """A sink that counts the threads as numbers come."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def begin(self, part: str) -> None:
        """Nothing of this is needed."""

    def write(self, step: int, values: Mapping[str, float]) -> None:  # noqa: ARG002 (the protocol's names)
        self.seen.add(torch.get_num_threads())

    def close(self) -> None:
        """Nothing is left to hand on."""


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_each_training_has_the_threads_that_it_asks_for(toy_dataset: Dataset, tmp_path: Path) -> None:
    two, run, detector = Compute(threads=2), tiny(1), str(tmp_path / "detector")
    asked = replace(
        run,
        stage1=replace(run.stage1, compute=two),
        stage2=replace(run.stage2, compute=two),
        joint=replace(run.joint, compute=two),
    )
    count = ThreadCount()
    train_detector(toy_dataset.uri, detector, asked, observers=Observers(count))
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/masks", asked, observers=Observers(count))
    train_joint(toy_dataset.uri, f"{tmp_path}/joint", asked, observers=Observers(count))
    assert count.seen == {2}
    assert torch.get_num_threads() == 3
    train_detector(toy_dataset.uri, f"{tmp_path}/other", run, observers=Observers(count))
    assert count.seen == {2, 3}


def test_an_evaluation_has_the_threads_that_it_asks_for(
    toy_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    count = "maskx_model.evaluation.run_models.compile_backbone"
    monkeypatch.setattr(count, lambda *_: seen.append(torch.get_num_threads()))
    train_detector(toy_dataset.uri, f"{tmp_path}/detector", tiny(1))
    train_masks(toy_dataset.uri, f"{tmp_path}/detector", f"{tmp_path}/masks", tiny(1))
    evaluate(f"{tmp_path}/masks", toy_dataset.uri, f"{tmp_path}/evaluation", compute=Compute(threads=2))
    assert (seen, torch.get_num_threads()) == ([2], 3)


def test_options_of_a_training_leave_the_threads_as_the_preset_has_them() -> None:
    assert ComputeOptions("bf16").of(Compute(threads=1)) == Compute("bf16", threads=1)


def test_no_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match="threads: 1 or more is allowed"):
        Compute(threads=0)
