"""A run for a dataset: sources and steps that it leaves open, and `own_r50` on real images."""

from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.storage.errors import ConfigError
from maskx_model.artifacts.model_folder import load_model
from maskx_model.configure.changes import changed, parse_override
from maskx_model.data.for_dataset import for_dataset
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.presets import get_preset
from maskx_model.run_config import Passes, RunConfig
from pipelines.cli import main

OWN = get_preset("own_r50")


def of_passes(passes: float, least: int) -> RunConfig:
    return replace(OWN, stage1_source="coco", passes=Passes(stage1=passes, joint=1, least_steps=least))


def test_steps_come_from_the_number_of_images_and_milestones_with_them(toy_dataset: Dataset) -> None:
    images = len(toy_dataset.select("train", "coco"))
    run = for_dataset(of_passes(300, 1), toy_dataset, "stage1")
    assert run.stage1.steps == round(300 * images / 4)
    assert run.stage1.milestones == (6000 * run.stage1.steps // 9000, 8000 * run.stage1.steps // 9000)
    assert run.passes == Passes(joint=1, least_steps=1)
    assert for_dataset(run, toy_dataset, "stage1") == run


def test_few_images_make_the_least_steps(toy_dataset: Dataset) -> None:
    assert for_dataset(of_passes(1, 700), toy_dataset, "stage1").stage1.steps == 700


def test_steps_that_are_set_replace_the_passes(toy_dataset: Dataset) -> None:
    run = changed(of_passes(3, 1), [parse_override("stage1.steps=50")])
    assert run.passes.stage1 is None
    assert for_dataset(run, toy_dataset, "stage1").stage1.steps == 50


def test_a_source_is_left_open_where_there_is_only_one(toy_dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"has the sources coco, vg; name the one to read \(--source NAME"):
        for_dataset(OWN, toy_dataset, "stage2")
    coco = get_preset("coco_r50")
    assert for_dataset(coco, toy_dataset, "stage1", "stage2", "joint") == coco


def test_passes_are_more_than_none() -> None:
    with pytest.raises(ConfigError, match=r"--set passes.stage1=0: passes.stage1: more than 0 passes are needed"):
        changed(OWN, [parse_override("passes.stage1=0")])


def test_own_r50_trains_on_custom_files(real_sample: Path, tmp_path: Path) -> None:
    """Its first steps on real images, both stages, smaller images and random weights aside as a user would train."""
    dataset, detector, masks = (f"{tmp_path}/{name}" for name in ("dataset", "detector", "masks"))
    files = f"{real_sample}/coco/annotations/instances_train2017.json,{real_sample}/coco/train2017"
    prepare(PrepareOptions(sources=(f"mine=coco:{files}",), out=dataset))
    options = ["--dataset", dataset, "--preset", "own_r50", "--min-size", "64", "--images-per-batch", "1"]
    options += ["--set", "detector.weights=none", "--steps", "1", "--scale-learning-rate", "--device", "cpu"]
    main(["train", "detector", *options, "--out", detector])
    main(["train", "masks", *options, "--detector", detector, "--out", masks])
    trained = load_model(masks)
    assert isinstance(trained.model, MaskXRCNN)
    assert len(trained.mask_classes) >= 79  # one class of COCO has no object here
    assert (trained.config.detector.min_size, trained.config.detector.max_size) == (64, 107)
