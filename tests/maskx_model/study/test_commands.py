"""`maskx study` as it is typed."""

import json
from pathlib import Path
from unittest.mock import patch

import pytest
import tyro

from data_prep.format.reader import Dataset
from maskx_model.presets import PRESETS
from maskx_model.study.cli.holdout import holdout
from maskx_model.study.cli.tables import tables
from tests.maskx_model.study.conftest import two_steps


@pytest.fixture(autouse=True)
def _tiny_is_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "tiny", two_steps)


def test_holdout_prints_the_variants_and_writes_them(
    toy_dataset: Dataset, detector: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"--dataset={toy_dataset.uri}", f"--detector={detector}", f"--out={tmp_path}", "--preset=tiny"]
    options = ["--variants", "cls", "--folds=2", "--seeds", "0", "1", "--steps=3", "--max-images=9", "--jobs=1"]
    tyro.cli(holdout, args=[*places, *options])
    written = json.loads((tmp_path / "holdout.json").read_bytes())
    assert [each["name"] for each in written["variants"]] == ["class_agnostic", "cls"]
    assert [len(each["rows"]) for each in written["variants"]] == [4, 4]
    printed = capsys.readouterr().out
    assert "class_agnostic" in printed and "cls " in printed


class CalledError(Exception):
    """The library was called."""


def test_steps_and_weights_change_the_preset() -> None:
    with patch("maskx_model.study.tables.tables", side_effect=CalledError) as run, pytest.raises(CalledError):
        tyro.cli(
            tables,
            args=[
                "--dataset=d",
                "--out=o",
                "--preset=coco_r50",
                "--weights=none",
                "--steps=900",
                "--learning-rate=0.5",
            ],
        )
    preset = run.call_args.args[2]
    assert preset.detector.weights is None
    assert (preset.stage2.steps, preset.stage2.milestones) == (900, (600, 800))
    assert preset.stage2.learning_rates == (0.5,)
    assert (preset.stage1, preset.joint) == (PRESETS["coco_r50"]().stage1, PRESETS["coco_r50"]().joint)
