"""`maskx train joint` on a tiny world: a whole model, killed for real, started again, and used."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, DataError
from maskx_model.artifacts.model_folder import load_model, read_model_manifest
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.config import MaskKind
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.presets import PRESETS
from maskx_model.registry.run_contents import gather
from maskx_model.report.evaluate import evaluate
from maskx_model.run_config import RunConfig
from maskx_model.training.stages import train_detector, train_joint, train_masks
from pipelines.cli import main
from tests.maskx_model.killing import kill_in_the_middle
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset
from tests.maskx_model.tiny_presets import tiny

STEPS = 24
PREDICTOR = "detector.roi_heads.box_predictor.cls_score.weight"


def weights(uri: str | Path) -> dict[str, torch.Tensor]:
    return load_tensors(f"{uri}/model.safetensors")


def differing(a: str | Path, b: str | Path) -> list[str]:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    return [name for name, value in first.items() if not torch.equal(value, second[name])]


def metric_lines(uri: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (uri / "metrics.jsonl").read_text().splitlines()]


def without_stop_gradient(steps: int) -> RunConfig:
    return replace(tiny(steps), mask=replace(tiny(steps).mask, stop_gradient=False))


@pytest.fixture(scope="module")
def whole(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was never interrupted."""
    out = tmp_path_factory.mktemp("joint") / "whole"
    train_joint(toy_dataset.uri, str(out), tiny(STEPS))
    return out


def test_a_killed_training_ends_in_the_same_weights(toy_dataset: Dataset, whole: Path, tmp_path: Path) -> None:
    command = ["-m", "tests.maskx_model.tiny_presets", "joint", toy_dataset.uri, "", str(tmp_path), str(STEPS)]
    kill_in_the_middle(command, tmp_path / "checkpoint", after=3)
    assert not (tmp_path / "manifest.json").exists()
    train_joint(toy_dataset.uri, str(tmp_path), tiny(STEPS))
    assert differing(tmp_path, whole) == []
    assert read_model_manifest(str(tmp_path)) == read_model_manifest(str(whole))


def test_boxes_and_masks_are_learned_at_once(whole: Path) -> None:
    lines = metric_lines(whole)
    assert set(lines[0]) == {
        "step",
        "learning_rate",
        "loss",
        "loss_classifier",
        "loss_box_reg",
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_mask",
    }
    for name in ("loss_classifier", "loss_mask"):
        assert sum(line[name] for line in lines[-3:]) < sum(line[name] for line in lines[:3])


def test_a_finished_training_is_not_repeated(
    toy_dataset: Dataset, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    train_joint(toy_dataset.uri, str(whole), tiny(STEPS))
    assert "finished already" in caplog.text
    with pytest.raises(CheckpointError, match="a training that differs in settings; choose another output folder"):
        train_joint(toy_dataset.uri, str(whole), without_stop_gradient(STEPS))
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


@pytest.mark.parametrize(("kind", "mask_classes"), [("class_agnostic", None), ("class_specific", "coco")])
def test_the_baseline_and_the_oracle_are_trained_the_same_way(
    toy_dataset: Dataset, tmp_path: Path, kind: MaskKind, mask_classes: str | None
) -> None:
    train_joint(toy_dataset.uri, str(tmp_path), tiny(2), kind=kind, mask_classes=mask_classes)
    loaded = load_model(str(tmp_path))
    assert isinstance(loaded.model, MaskXRCNN) and loaded.config.mask is not None
    assert loaded.config.mask.kind == kind
    assert (len(loaded.mask_classes) > 30) == (mask_classes == "coco")


def test_the_command_line_trains_what_is_evaluated_predicted_with_and_registered(
    toy_dataset: Dataset, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "tiny", lambda: tiny(2))
    words = ["train", "joint", "--dataset", toy_dataset.uri, "--preset", "tiny", "--mask-classes", "random:30:0"]
    main([*words, "--out", f"{tmp_path}/model"])
    main([*words, "--out", f"{tmp_path}/without", "--no-stop-gradient"])
    main([*words, "--out", f"{tmp_path}/agnostic", "--kind", "class_agnostic"])
    assert PREDICTOR in differing(tmp_path / "model", tmp_path / "without")
    without = load_model(f"{tmp_path}/without").config.mask
    assert without is not None and not without.stop_gradient
    evaluation = evaluate(
        f"{tmp_path}/model", toy_dataset.uri, f"{tmp_path}/report", baseline=f"{tmp_path}/agnostic", max_images=2
    )
    assert set(evaluation.ap) == {"transfer", "class_agnostic"}
    record = gather(f"{tmp_path}/model", f"{tmp_path}/report", (), toy_dataset.uri, tiny(2))
    assert {"model/loss_mask", "model/loss_classifier"} <= {curve.name for curve in record.curves}
    picture = next((toy_folder / "original" / "coco").rglob("*.jpg"))
    main(["predict", f"{tmp_path}/model", str(picture), "--out", f"{tmp_path}/pictures"])
    assert (tmp_path / "pictures" / "results.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        "--transfer-input embedding --embedding FILE --mlp light",
        "--transfer-input randn --transfer-layers 1",
        "--transfer-scale standard --no-stop-gradient",
        "--kind class_specific --class-bias --head hourglass --channels 8 --hourglass-layers 10",
    ],
)
def test_every_mask_branch_is_trained_end_to_end_too(
    toy_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setitem(PRESETS, "tiny", lambda: tiny(2))
    names = [c.name for c in toy_dataset.vocabulary.classes]
    vectors = "\n".join(f"{name} {number}.5 1.0 -2.0" for number, name in enumerate(names))
    (tmp_path / "vectors.txt").write_text(f"{len(names)} 3\n{vectors}\n")
    options = words.replace("FILE", f"{tmp_path}/vectors.txt").split()
    main(["train", "joint", "--dataset", toy_dataset.uri, "--preset", "tiny", "--out", f"{tmp_path}/out", *options])
    model = load_model(f"{tmp_path}/out").model
    assert isinstance(model, MaskXRCNN)
    assert (model.word_vectors is not None and bool(model.word_vectors[1:].any())) == ("FILE" in words)
    assert all(line["loss_mask"] > 0 for line in metric_lines(tmp_path / "out"))


def test_it_may_go_on_from_a_trained_detector(toy_dataset: Dataset, tmp_path: Path) -> None:
    train_detector(toy_dataset.uri, f"{tmp_path}/detector", tiny(2))
    still = replace(tiny(1), joint=replace(tiny(1).joint, learning_rates=(0.0,)))
    train_joint(toy_dataset.uri, f"{tmp_path}/out", still, detector=f"{tmp_path}/detector")
    before, after = weights(tmp_path / "detector"), weights(tmp_path / "out")
    learned = {name for name, value in before.items() if not torch.equal(value, after[f"detector.{name}"])}
    assert learned and all("running" in name or "tracked" in name for name in learned)  # batch norm's alone


def test_a_detector_that_does_not_fit_is_refused(toy_dataset: Dataset, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="whole: holds a mask branch already; name the detector of stage 1"):
        train_joint(toy_dataset.uri, f"{tmp_path}/out", tiny(1), detector=str(whole))
    with pytest.raises(CheckpointError, match="whole: holds a mask branch already"):
        train_masks(toy_dataset.uri, str(whole), f"{tmp_path}/out", tiny(1))


def test_without_an_image_of_a_class_of_a_there_is_nothing_to_learn(tmp_path: Path) -> None:
    records, _ = random_world(0, 6, ["cup", "tree", "dog"])
    for record in records:
        record.objects["coco"][:] = [a for a in record.objects["coco"] if a.category != "cup"]
    dataset = write_dataset(tmp_path / "data", records, ["cup", "tree", "dog"], split="train")
    (tmp_path / "a.txt").write_text("cup\n")
    with pytest.raises(DataError, match="no training image of source 'coco' shows a class of A"):
        train_joint(dataset, f"{tmp_path}/out", tiny(1), mask_classes=f"{tmp_path}/a.txt")
