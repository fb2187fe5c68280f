"""The trainings' plain options, `--config` and `--set`: what they change, and what is told about another batch."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from data_prep.format.reader import Dataset
from data_prep.storage.errors import CheckpointError, ConfigError
from maskx_model.artifacts.model_folder import read_model_manifest
from maskx_model.cli.run_options import ConfigurationOptions, ScheduleOptions
from maskx_model.cli.train_masks import TrainingOptions
from maskx_model.configure.batch import tell_other_batch
from maskx_model.configure.yaml_text import to_yaml
from maskx_model.presets import PRESETS, get_preset
from maskx_model.training.stages import train_masks
from pipelines.cli import main
from tests.maskx_model.tiny_presets import tiny
from tests.maskx_model.training.same_model import assert_same_model

COCO = get_preset("coco_r50")


def test_plain_options_change_their_stage_and_move_what_hangs_on_it() -> None:
    options = ScheduleOptions(steps=9000, images_per_batch=8, learning_rate=0.5, min_size=600, seed=3)
    run = options.applied_to(COCO, "stage2")
    assert (run.stage2.steps, run.stage2.milestones) == (9000, (6000, 8000))
    assert (run.stage2.images_per_batch, run.stage2.learning_rates, run.seed) == (8, (0.5,), 3)
    assert (run.detector.min_size, run.detector.max_size) == (600, 1000)
    assert (run.stage1, run.joint) == (COCO.stage1, COCO.joint)
    assert ScheduleOptions().applied_to(COCO, "joint") == COCO


def test_a_plain_option_goes_before_set_and_set_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("name: coco_r50\nstage1: {steps: 100, images_per_batch: 4}\nseed: 9\n")
    run = ConfigurationOptions(f"{tmp_path}/run.yaml", ("stage1.steps=200", "seed=8")).of(None, "toy")
    run = ScheduleOptions(steps=300).applied_to(run, "stage1")
    assert (run.stage1.steps, run.stage1.images_per_batch, run.seed, run.name) == (300, 4, 8, "coco_r50")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ScheduleOptions(steps=0), "--steps 0: stage1.steps: at least one is needed, got 0"),
        (ScheduleOptions(images_per_batch=0), r"--images-per-batch 0: stage1.images_per_batch: 1 or more is allowed"),
        (ScheduleOptions(min_size=8), r"--min-size 8: detector.min_size: 32 or more is allowed \(one cell of the"),
        (ScheduleOptions(learning_rate=0.1, scale_learning_rate=True), "two learning rates; name one"),
    ],
)
def test_a_number_out_of_its_range_is_refused(options: ScheduleOptions, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        options.applied_to(COCO, "stage1")


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--mask-weight 0.25", "made_mask_weight", 0.25),
        ("--min-mask-score 0.5", "min_mask_score", 0.5),
        ("--rois gt", "rois", "gt"),
        ("--targets grabcut", "targets", "grabcut"),
    ],
)
def test_the_options_of_stage_2_change_its_field_and_no_other(words: str, field: str, value: object) -> None:
    options = tyro.cli(TrainingOptions, args=words.split())
    assert getattr(COCO.stage2, field) != value
    assert options.of(COCO.stage2) == replace(COCO.stage2, **{field: value})  # type: ignore[arg-type]


def test_the_linear_rule_is_applied_where_it_is_asked_for_only() -> None:
    plain = ScheduleOptions(images_per_batch=4).applied_to(COCO, "stage1")
    scaled = ScheduleOptions(images_per_batch=4, scale_learning_rate=True).applied_to(COCO, "stage1")
    assert plain.stage1.learning_rates == (0.02,)
    assert scaled.stage1.learning_rates == pytest.approx((0.005,))
    assert ScheduleOptions(scale_learning_rate=True).applied_to(COCO, "stage1") == COCO


def test_the_linear_rule_is_refused_where_it_does_not_hold() -> None:
    scale = ScheduleOptions(images_per_batch=4, scale_learning_rate=True)
    with pytest.raises(ConfigError, match="the linear rule holds for sgd, stage2 uses adamw"):
        scale.applied_to(get_preset("toy"), "stage2")
    own = replace(COCO, stage1=replace(COCO.stage1, learning_rates=(0.3,)))
    with pytest.raises(ConfigError, match="learning rates of stage1 are not the preset's but"):
        scale.applied_to(own, "stage1")


def test_another_batch_is_told_with_the_rate_that_the_rule_gives(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tell_other_batch(ScheduleOptions(images_per_batch=4).applied_to(COCO, "stage1"), "stage1")
    assert "batches of 4 images instead of the preset's 16, at the preset's learning rate, 0.02" in caplog.text
    assert "the linear rule would give 0.005" in caplog.text
    assert "trains on 1440000 images; with this batch that takes 360000 steps, not 90000" in caplog.text
    caplog.clear()
    for silent in (
        ScheduleOptions(images_per_batch=4, scale_learning_rate=True),
        ScheduleOptions(images_per_batch=4, learning_rate=0.1),
        ScheduleOptions(steps=4),
    ):
        tell_other_batch(silent.applied_to(COCO, "stage1"), "stage1")
    tell_other_batch(replace(COCO, name="of a test"), "stage1")
    assert caplog.text == ""


def test_a_batch_of_images_is_refused_where_no_images_are_read() -> None:
    run = ScheduleOptions(images_per_batch=4).applied_to(get_preset("toy"), "stage2")
    with pytest.raises(ConfigError, match=r"stage2 of preset toy trains from memory .* stage2.rois_per_batch RoIs a"):
        tell_other_batch(run, "stage2")


def test_a_training_by_file_and_options_is_the_library_s(
    toy_dataset: Dataset, detector: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "tiny", lambda: tiny(4))
    (tmp_path / "run.yaml").write_text(to_yaml(tiny(2)), encoding="utf-8")
    words = ["train", "masks", "--dataset", toy_dataset.uri, "--detector", detector, "--out", f"{tmp_path}/typed"]
    settings = ["mask.kind=class_agnostic", "stage2.flip=false", "seed=5"]
    main([*words, "--config", f"{tmp_path}/run.yaml", *(each for s in settings for each in ("--set", s))])
    preset = tiny(2)
    preset = replace(preset, stage2=replace(preset.stage2, flip=False), seed=5)
    train_masks(toy_dataset.uri, detector, f"{tmp_path}/called", preset, kind="class_agnostic", device="cpu")
    assert_same_model(tmp_path / "typed", tmp_path / "called")
    assert read_model_manifest(f"{tmp_path}/typed") == read_model_manifest(f"{tmp_path}/called")


def test_a_detector_of_another_image_size_is_answered_with_what_differs(
    toy_dataset: Dataset, detector: str, tmp_path: Path
) -> None:
    other = ScheduleOptions(min_size=96).applied_to(tiny(2), "stage2")
    with pytest.raises(CheckpointError, match=r"min_size 64 \(here 96\), max_size 86 \(here 129\); .* detector.min_si"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/out", other)


def test_a_device_that_is_not_there_is_refused(toy_dataset: Dataset, detector: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device 'cuda:99': this machine has cpu"):
        train_masks(toy_dataset.uri, detector, f"{tmp_path}/out", tiny(2), device="cuda:99")
