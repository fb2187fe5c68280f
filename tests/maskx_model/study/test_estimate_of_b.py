"""`maskx study estimate`: the leave-classes-out estimate of the preset's own head, for the registry to read."""

from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError, DataError
from maskx_model.evaluation.estimate_file import EstimateOfB, estimate_of, read_estimate
from maskx_model.presets import PRESETS
from maskx_model.run_config import RunConfig
from maskx_model.study.cli.estimate import estimate
from maskx_model.study.estimate_of_b import estimate_of_b
from maskx_model.training.stages import train_masks
from tests.maskx_model.study.conftest import two_steps


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("estimate"))


@pytest.fixture(scope="module")
def found(toy_dataset: Dataset, detector: str, preset: RunConfig, out: str) -> EstimateOfB:
    return estimate_of_b(toy_dataset.uri, detector, out, preset, folds=2, jobs=1, device="cpu")


def test_it_is_written_with_its_error_and_what_it_was_made_from(found: EstimateOfB, out: str) -> None:
    assert read_estimate(out) == found
    assert 0 <= found.on_b <= 100 and (found.error is None) == (found.held_out == 0)
    assert [len(fold) for fold in found.folds] == [7, 6]  # those of A in validation
    assert Path(out, "holdout.html").exists()
    assert {"dataset", "detector", "head", "mask_classes", "torch"} <= found.made_from.keys()


def test_a_finished_estimate_is_read_and_one_of_other_settings_is_made_again(
    found: EstimateOfB, toy_dataset: Dataset, detector: str, preset: RunConfig, out: str, tmp_path: Path
) -> None:
    rows = sorted(Path(out, "rows").iterdir())
    Path(out, "holdout.json").unlink()
    assert estimate_of_b(toy_dataset.uri, detector, out, preset, folds=2, device="cpu") == found
    assert not Path(out, "holdout.json").exists()
    longer = replace(preset, stage2=replace(preset.stage2, steps=3))
    again = estimate_of_b(toy_dataset.uri, detector, out, longer, folds=2, jobs=1, device="cpu")
    assert again.made_from["settings"] != found.made_from["settings"]
    assert len(list(Path(out, "rows").iterdir())) == 2 * len(rows)
    estimate_of_b(toy_dataset.uri, detector, out, preset, folds=2, jobs=1, device="cpu")


def test_it_is_of_the_model_that_was_trained_alike_and_of_no_other(
    found: EstimateOfB, toy_dataset: Dataset, detector: str, preset: RunConfig, out: str, tmp_path: Path
) -> None:
    for name, run in (("alike", preset), ("head", replace(preset, mask=replace(preset.mask, channels=8)))):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/{name}", run, device="cpu")
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/a", preset, mask_classes="random:20:1", device="cpu")
    assert estimate_of(out, f"{tmp_path}/alike") == found
    for name, differs in (("head", "head"), ("a", "mask_classes")):
        with pytest.raises(DataError, match=f"the estimate of another model than .*/{name}, .*: {differs} is"):
            estimate_of(out, f"{tmp_path}/{name}")


def test_a_head_that_learns_class_by_class_has_no_estimate(
    toy_dataset: Dataset, detector: str, preset: RunConfig, tmp_path: Path
) -> None:
    own = replace(preset, mask=replace(preset.mask, kind="class_specific"))
    with pytest.raises(ConfigError, match="class_specific learns nothing of a class that is held out"):
        estimate_of_b(toy_dataset.uri, detector, str(tmp_path), own)


def test_the_command_prints_the_estimate(
    found: EstimateOfB,
    toy_dataset: Dataset,
    detector: str,
    out: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(PRESETS, "tiny", two_steps)
    places = [f"--dataset={toy_dataset.uri}", f"--detector={detector}", f"--out={out}", "--preset=tiny", "--folds=2"]
    tyro.cli(estimate, args=places)
    assert f"estimate of mask AP on B: {found}\non 2 folds held out: " in capsys.readouterr().out
