"""What is remembered of a run: gathered from its folders, and refused where these do not belong together."""

from pathlib import Path
from typing import Any

import pytest

from data_prep.storage.errors import CheckpointError, DataError
from maskx_model.presets import get_preset
from maskx_model.registry.run_contents import Curve, RunContents, flatten, gather, read_curves
from maskx_model.report.evaluate import evaluate
from maskx_model.report.finished import read_finished
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model

NAMES = ["cup", "chair"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset `data`, models `detector`, `masks` and `other`, and the evaluation `evaluation` of `masks`."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", random_world(0, 4, NAMES)[0], NAMES)
    write_model(folder / "detector", NAMES, None)
    write_model(folder / "masks", NAMES, "transfer")
    write_model(folder / "other", NAMES, "transfer", seed=1)
    evaluate(f"{folder}/masks", f"{folder}/data", f"{folder}/evaluation")
    return folder


def gather_from(world: Path, model: str = "masks", **changes: Any) -> RunContents:
    choices: dict[str, Any] = {"dataset": f"{world}/data", "preset": None, **changes}
    return gather(f"{world}/{model}", f"{world}/evaluation", (f"{world}/detector",), **choices)


def test_settings_numbers_curves_and_files_of_all_steps_are_gathered(world: Path) -> None:
    record = gather_from(world, preset=get_preset("toy"))
    assert record.kind == "transfer"
    assert record.parameters["model.mask.kind"] == "transfer"
    assert record.parameters["made_from.detector.seed"] == "0"
    assert record.parameters["preset.name"] == "toy"
    assert record.metrics["ap/transfer/B"] == record.ap["mask_ap_b"]
    assert {curve.name for curve in record.curves} == {
        "detector/loss",
        "detector/loss_mask",
        "masks/loss",
        "masks/loss_mask",
    }
    assert record.dataset is not None
    assert record.dataset.used_for == ("evaluation",)
    assert [file.name for file in record.files["evaluation"]] == ["report.html", "metrics.json"]
    assert record.files["evaluation/pictures"]


def test_a_curve_has_a_point_for_each_step(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step":10,"loss":2,"note":"warm-up"}\n{"step":20,"loss":1.5}\n')
    assert read_curves(str(tmp_path)) == [Curve(f"{tmp_path.name}/loss", ((10, 2.0), (20, 1.5)))]


@pytest.mark.parametrize("damaged", [b'{"step":20,"lo', b'{"step":20,"l\xefss":2}'])
def test_a_damaged_line_of_metrics_is_named(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step":10,"loss":2}\n' + damaged)
    with pytest.raises(DataError, match=r"metrics\.jsonl: line 2"):
        read_curves(str(tmp_path))


def test_damaged_numbers_of_an_evaluation_are_named(world: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_bytes(b'{"made_from":{"\xf3plit":"val"}}')
    with pytest.raises(DataError, match=r"metrics\.json: not the numbers of an evaluation"):
        gather(f"{world}/masks", str(tmp_path), (), None, None)
    assert read_finished(str(tmp_path), {"split": "val"}) is None


def test_flattening_joins_the_keys() -> None:
    assert dict(flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}, ".")) == {"a.b": 1, "a.c.d": [2], "e": None}


def test_models_measured_on_other_classes_have_another_test_set(world: Path, tmp_path: Path) -> None:
    both = write_model(tmp_path / "both", NAMES, "transfer", mask_classes=(0, 1))
    evaluate(both, f"{world}/data", f"{tmp_path}/evaluation")
    record = gather(both, f"{tmp_path}/evaluation", (), None, None)
    assert "mask_ap_b" not in record.ap
    assert record.test_set != gather_from(world).test_set


def test_folders_that_do_not_belong_together_are_refused(world: Path, tmp_path: Path) -> None:
    elsewhere = write_dataset(tmp_path / "elsewhere", random_world(1, 2, NAMES)[0], NAMES)
    with pytest.raises(DataError, match="the evaluation of another model"):
        gather_from(world, "other")
    with pytest.raises(DataError, match="neither trained nor measured on this dataset"):
        gather_from(world, dataset=elsewhere)
    with pytest.raises(DataError, match="a detector without a mask branch"):
        gather_from(world, "detector")
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        gather_from(world, "nothing")
    with pytest.raises(DataError, match=r"no metrics\.json"):
        gather(f"{world}/masks", f"{world}/data", (), None, None)
