"""Stage 1 and stage 2 on a tiny world: killed for real, started again, and asked for the impossible."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from data_prep.format.reader import Dataset
from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import CheckpointError, ConfigError, DataError, MaskxError
from maskx_model.artifacts.model_folder import load_model, read_model_manifest, save_model
from maskx_model.config import ModelConfig
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.run_config import RunConfig
from maskx_model.training.stages import train_detector, train_masks
from tests.maskx_model.killing import kill_in_the_middle
from tests.maskx_model.tiny_presets import tiny, tiny_cached
from tests.maskx_model.training.same_model import STEPS, assert_same_model
from tests.processes import REPOSITORY


def killed(stage: str, dataset: str, detector: str, out: Path, checkpoints: str) -> None:
    command = ["-m", "tests.maskx_model.tiny_presets", stage, dataset, detector, str(out), str(STEPS)]
    kill_in_the_middle(command, out / checkpoints, after=3)
    assert not (out / "manifest.json").exists()


def test_a_detector_killed_in_training_ends_in_the_same_weights(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    killed("detector", toy_dataset.uri, "", tmp_path, "checkpoint")
    train_detector(toy_dataset.uri, str(tmp_path), tiny(STEPS))
    assert_same_model_of_other_cadence(tmp_path, detector)


def test_the_same_training_gives_the_same_bits_with_two_threads(toy_dataset: Dataset, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for name in ("a", "b"):
            train_detector(toy_dataset.uri, f"{tmp_path}/{name}", tiny(6))
    finally:
        torch.set_num_threads(before)
    assert_same_model(tmp_path / "a", tmp_path / "b")


def assert_same_model_of_other_cadence(a: str | Path, b: str | Path) -> None:
    """How often checkpoints are written has no influence on what is learned."""
    assert_same_model(a, b)
    assert read_model_manifest(str(a)).made_from != read_model_manifest(str(b)).made_from


@pytest.mark.parametrize(
    ("stage", "preset", "checkpoints"),
    [
        ("masks", tiny(STEPS), "rate-0.01/checkpoint"),
        ("masks_cached", tiny_cached(STEPS), "rate-0.001/checkpoint"),
    ],
    ids=["from images", "from memory, in the second learning rate"],
)
def test_a_mask_branch_killed_in_training_ends_in_the_same_weights(
    toy_dataset: Dataset, detector: str, tmp_path: Path, stage: str, preset: RunConfig, checkpoints: str
) -> None:
    killed(stage, toy_dataset.uri, detector, tmp_path / "killed", checkpoints)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/killed", preset)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/whole", preset)
    assert_same_model(tmp_path / "killed", tmp_path / "whole")
    assert read_model_manifest(f"{tmp_path}/killed") == read_model_manifest(f"{tmp_path}/whole")


def test_finished_stages_return_without_torch(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    masks = f"{tmp_path}/masks"
    train_masks(toy_dataset.uri, detector, masks, tiny(2))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code = f"""
import sys
from data_prep.log import show_log
from tests.maskx_model.tiny_presets import tiny
from maskx_model.training.stages import train_detector, train_masks
show_log()
train_detector({toy_dataset.uri!r}, {detector!r}, tiny({STEPS}, checkpoint_every=100))
train_masks({toy_dataset.uri!r}, {detector!r}, {masks!r}, tiny(2))
print([name for name in ("torch", "torchvision", "mlflow", "apache_beam") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr.count("finished already") == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_finished_model_that_lost_its_weights_is_trained_again(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    for name in ("whole", "damaged"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/{name}", tiny(2))
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"model.safetensors: missing or changed .*; train it again"):
        load_model(f"{tmp_path}/damaged")
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/damaged", tiny(2))
    assert_same_model(tmp_path / "whole", tmp_path / "damaged")


def test_a_detector_of_another_vocabulary_is_refused(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    loaded = load_model(detector)
    other = replace(loaded, vocabulary=Vocabulary(loaded.vocabulary.classes[::-1]))
    save_model(f"{tmp_path}/other", other, {"seed": 0})
    with pytest.raises(CheckpointError, match="other: was trained on another vocabulary"):
        train_masks(toy_dataset.uri, f"{tmp_path}/other", f"{tmp_path}/out", tiny(2))
    assert not Path(tmp_path, "out").exists()


def test_a_detector_of_another_preset_is_refused(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    other = replace(tiny(2), detector=replace(tiny(2).detector, box_dim=17))
    with pytest.raises(CheckpointError, match="its model is not that of preset tiny"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/out", other)


def test_a_whole_model_in_place_of_a_detector_is_refused(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/masks", tiny(2))
    with pytest.raises(CheckpointError, match="masks: holds a mask branch already; name the detector of stage 1"):
        train_masks(toy_dataset.uri, f"{tmp_path}/masks", f"{tmp_path}/out", tiny(2))


def test_a_finished_model_is_not_replaced_by_another(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    out = str(tmp_path / "masks")
    train_masks(toy_dataset.uri, detector, out, tiny(2))
    before = read_model_manifest(out)
    with pytest.raises(
        CheckpointError, match="masks: holds a model of a training that differs in mask_classes; choose"
    ):
        train_masks(toy_dataset.uri, detector, out, tiny(2), mask_classes="coco")
    assert read_model_manifest(out) == before
    assert load_model(out).vocabulary == toy_dataset.vocabulary


def test_a_file_in_place_of_the_folder_is_told_before_the_training(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path / "notes.txt", tmp_path / "notes.txt/masks"):
        with pytest.raises(ConfigError, match="cannot be written, a part of the path is a file; choose another"):
            train_masks(toy_dataset.uri, detector, str(out), tiny(2))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_missing_detector_is_refused(toy_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere: no manifest.json, so no finished model"):
        train_masks(toy_dataset.uri, f"{tmp_path}/nowhere", f"{tmp_path}/out", tiny(2))


def test_a_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest.json, so no finished dataset; run `maskx data prepare`"):
        train_detector(str(tmp_path), f"{tmp_path}/out", tiny(2))
    assert not Path(tmp_path, "out").exists()


def test_a_source_that_the_dataset_lacks_is_refused(toy_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image of source 'lvis'"):
        train_detector(toy_dataset.uri, f"{tmp_path}/out", replace(tiny(2), stage1_source="lvis"))
    with pytest.raises(ConfigError, match="source 'vg' has no masks in training"):
        train_masks(toy_dataset.uri, "any", f"{tmp_path}/out", replace(tiny(2), stage2_source="vg"))


def test_a_diverged_training_says_so_and_its_checkpoint_is_not_gone_on_with_under_another_seed(
    toy_dataset: Dataset, tmp_path: Path
) -> None:
    diverging = replace(tiny(3), stage1=replace(tiny(3).stage1, learning_rates=(1e30,), clip_norm=None))
    with pytest.raises(MaskxError, match=r"stage 1, step [12] \(images (coco|vg)-\d+, .*\): the loss is not finite"):
        train_detector(toy_dataset.uri, str(tmp_path), diverging)
    assert not (tmp_path / "manifest.json").exists()
    with pytest.raises(CheckpointError, match="belongs to a training that differs in seed"):
        train_detector(toy_dataset.uri, str(tmp_path), diverging, seed=1)


def test_a_model_needs_its_mask_configuration() -> None:
    with pytest.raises(ValueError, match="needs a mask configuration"):
        MaskXRCNN(ModelConfig(tiny(1).detector), 3, nn.Identity())
