"""From models and a dataset to numbers, files and a page."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from PIL import Image

from data_prep.storage.errors import CheckpointError, ConfigError, DataError
from maskx_model.artifacts.origin import release
from maskx_model.evaluation.metrics import Evaluation
from maskx_model.report.evaluate import evaluate
from pipelines.cli import main
from tests.maskx_model.evaluation.conftest import NAMES
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.readme import ROOT


@pytest.fixture(scope="module")
def evaluated(world: Path) -> Evaluation:
    return evaluate(
        f"{world}/transfer",
        f"{world}/data",
        f"{world}/out",
        baseline=f"{world}/class_agnostic",
        stages=[f"{world}/detector"],
    )


def test_numbers_stand_by_kind_and_set_and_are_what_the_file_says(world: Path, evaluated: Evaluation) -> None:
    assert list(evaluated.ap) == ["class_agnostic", "transfer"]
    for numbers in (evaluated.ap, evaluated.ap_gt_boxes, evaluated.box_ap):
        for sets in numbers.values():
            assert list(sets) == ["A", "B", "all"]
            assert all(ap is not None and 0 <= ap <= 100 for ap in sets.values())
    assert evaluated.images == 16
    assert [c.name for c in evaluated.per_class] == NAMES
    assert [c.set for c in evaluated.per_class] == ["A", "B", "B"]
    assert msgspec.json.decode((world / "out/metrics.json").read_bytes(), type=Evaluation) == evaluated


def test_models_with_equal_detectors_have_equal_boxes_and_the_own_masks(world: Path, evaluated: Evaluation) -> None:
    agnostic, transfer = (
        msgspec.json.decode((world / f"out/predictions-{kind}.json").read_bytes())
        for kind in ("class_agnostic", "transfer")
    )
    assert [(r["bbox"], r["score"]) for r in agnostic] == [(r["bbox"], r["score"]) for r in transfer]
    assert agnostic != transfer


def test_everything_is_written(world: Path, evaluated: Evaluation) -> None:
    names = {path.name for path in (world / "out").iterdir()}
    predictions = {"predictions-transfer.json", "predictions-class_agnostic.json", "categories.json"}
    assert names == {"metrics.json", "per_class.csv", "report.html", "pictures", *predictions}
    pictures = list((world / "out/pictures").glob("*.png"))
    assert pictures
    for path in pictures:
        assert Image.open(path).width > 3 * 480


def test_the_same_evaluation_is_not_made_twice_and_found_without_torch(world: Path, evaluated: Evaluation) -> None:
    before = (world / "out/report.html").stat()
    code = f"""
import sys, msgspec
from maskx_model.report.evaluate import evaluate
folders = ["{world}/transfer", "{world}/data", "{world}/out", "{world}/class_agnostic"]
print(msgspec.json.encode(evaluate(*folders, stages=["{world}/detector"])).decode())
print([name for name in ("torch", "matplotlib", "mlflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    again, imported = done.stdout.splitlines()
    assert msgspec.json.decode(again, type=Evaluation) == evaluated
    assert imported == "[]"
    assert (world / "out/report.html").stat().st_mtime_ns == before.st_mtime_ns


def test_a_model_alone_and_fewer_images(world: Path) -> None:
    result = evaluate(f"{world}/transfer", f"{world}/data", f"{world}/alone", max_images=3)
    assert list(result.ap) == ["transfer"]
    assert result.images == 3
    assert not (world / "alone/predictions-class_agnostic.json").exists()


@pytest.mark.parametrize("change", [{"mask": None}, {"provenance": "a model"}])
def test_where_no_measured_object_has_a_drawn_mask_boxes_alone_are_measured_and_a_is_the_models(
    world: Path, tmp_path: Path, change: dict[str, str | None]
) -> None:
    records, _ = random_world(0, 6, NAMES)
    told = [replace(each, objects={"coco": [replace(o, **change) for o in each.objects["coco"]]}) for each in records]
    write_dataset(tmp_path / "data", records, NAMES, claimed=told)
    alone = evaluate(f"{world}/detector", f"{tmp_path}/data", f"{tmp_path}/alone")
    assert not alone.ap and list(alone.box_ap) == ["detector"]
    model = evaluate(f"{world}/transfer", f"{tmp_path}/data", f"{tmp_path}/model")
    assert set(model.ap["transfer"].values()) == {None}  # so that it can be registered
    result = evaluate(
        f"{world}/transfer", f"{tmp_path}/data", f"{tmp_path}/out", baseline=f"{world}/detector", stages=[]
    )
    assert not result.ap and list(result.box_ap) == ["detector", "transfer"]
    assert [c.set for c in result.per_class] == ["A", "B", "B"]


def test_a_folder_with_other_things_in_it_is_not_replaced(world: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds thesis\.tex"):
        evaluate(f"{world}/transfer", f"{world}/data", str(tmp_path))
    with pytest.raises(ConfigError, match="is a file"):
        evaluate(f"{world}/transfer", f"{world}/data", str(tmp_path / "thesis.tex"))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"metrics.json": '{"loss": 0.1}', "report.html": ""}, "metrics.json is missing or no evaluation's"),
        ({"report.html": "mine"}, "metrics.json is missing or no evaluation's"),
        ({"pictures/mine.jpg": "", "metrics.json": "{}"}, r"holds pictures/mine\.jpg"),
        ({"pictures/best-of/me.png": ""}, r"holds pictures/best-of/me\.png"),
    ],
)
def test_a_folder_whose_files_have_an_evaluations_names_is_not_replaced(
    world: Path, tmp_path: Path, files: dict[str, str], named: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=named):
        evaluate(f"{world}/transfer", f"{world}/data", str(tmp_path))
    assert {name: (tmp_path / name).read_text() for name in files} == files


def test_an_older_evaluation_is_replaced(world: Path, tmp_path: Path) -> None:
    for count in (1, 2):
        evaluate(f"{world}/transfer", f"{world}/data", f"{tmp_path}/out", max_images=count)
        assert msgspec.json.decode((tmp_path / "out/metrics.json").read_bytes())["images"] == count


def test_an_evaluation_that_a_kill_left_between_an_older_one_and_itself_is_replaced(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that stays, the older marker goes first and the newer one comes last."""
    monkeypatch.chdir(tmp_path)
    evaluate(f"{world}/transfer", f"{world}/data", ".")
    Path(".metrics.json.12.partial").mkdir()
    Path("metrics.json").rename(".metrics.json.12.partial/metrics.json")
    evaluate(f"{world}/transfer", f"{world}/data", ".", max_images=1)
    assert msgspec.json.decode(Path("metrics.json").read_bytes())["images"] == 1


def test_the_working_folder_gets_an_evaluation_and_a_newer_one(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for count in (1, 2):
        (tmp_path / ".metrics.json.12.partial/pictures").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".metrics.json.12.partial/pictures/left by a kill").touch()
        evaluate(f"{world}/transfer", f"{world}/data", ".", max_images=count)
        assert msgspec.json.decode(Path("metrics.json").read_bytes())["images"] == count


def test_the_command_tells_what_it_measured_and_what_it_replaces(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    places = ["--model", f"{world}/transfer", "--dataset", f"{world}/data", "--out", f"{tmp_path}/out"]
    main(["evaluate", *places])
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if not line.startswith("  ")] == [
        "AP (0.50:0.95), percent                  A       B     all",
        "mask AP",
        "mask AP on annotated boxes",
        "box AP",
        "A: classes with masks in training, B: classes without",
        f"report  {tmp_path}/out/report.html",
    ]
    assert sum(line.startswith("  transfer ") for line in told) == 3
    main(["evaluate", *places, "--max-images", "1"])
    assert "out: replaces an evaluation that differs in max_images" in caplog.text + capsys.readouterr().err


def test_an_evaluation_of_another_release_is_made_again_and_one_of_another_patch_is_not(
    world: Path, tmp_path: Path
) -> None:
    arguments = (f"{world}/transfer", f"{world}/data", f"{tmp_path}/out")
    evaluated = evaluate(*arguments, max_images=1)
    assert evaluated.made_from["torch"] == release(version("torch")) != version("torch")
    metrics = tmp_path / "out/metrics.json"
    old = replace(evaluated, images=99, made_from={**evaluated.made_from, "maskx": "0.0"})
    metrics.write_bytes(msgspec.json.encode(old))
    assert evaluate(*arguments, max_images=1) == evaluated


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"split": "test"}, DataError, "split 'test' has no image"),
        ({"source": "vg"}, DataError, "source 'vg' annotates no class"),
        ({"max_images": 0}, ConfigError, "max_images"),
        ({"model": "detector"}, CheckpointError, "a detector without masks"),
        ({"model": "nowhere"}, CheckpointError, "no finished model"),
        ({"baseline": "transfer"}, CheckpointError, "both transfer"),
        ({"model": "of-other-classes"}, CheckpointError, "another vocabulary"),
        ({"baseline": "of-other-masks"}, CheckpointError, "masks of different classes"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    world: Path, tmp_path: Path, options: dict[str, str | int], error: type[Exception], words: str
) -> None:
    write_model(tmp_path / "of-other-classes", ["cup", "saucer"], "transfer")
    write_model(tmp_path / "of-other-masks", NAMES, "class_agnostic", mask_classes=(1,))
    for role in ("model", "baseline"):
        if role in options:
            near = tmp_path / str(options[role])
            options[role] = str(near if near.exists() else world / str(options[role]))
    arguments = {"model": f"{world}/transfer", "dataset": f"{world}/data", "out": f"{tmp_path}/out"}
    with pytest.raises(error, match=words):
        evaluate(**(arguments | options))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
