"""Most benchmarks run, in small: their last lines are what the README quotes and scripts read."""

import json
import os
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.throughput.profiles import show_profile
from maskx_model.presets import get_preset
from maskx_model.schedules import NO_CROPS
from maskx_model.training.stages import train_detector
from tests.maskx_model.synthetic import random_world
from tests.maskx_model.synthetic_dataset import write_dataset, write_model
from tests.readme import ROOT

SMALL = {
    "postprocess": "--classes 40 --proposals 60 --objects 4 --repeats 1",
    "box_head": "--classes 40 --rois 16 --repeats 1",
    "evaluation": "--images 12 --classes 30 --compared 8 --checked 5",
    "feature_cache": "--slim 3 2 1 --resnet50 3 1 --images 20 --min-size 96",
    "inference": "--height 60 --width 80 --min-size 96 --proposals 60 --detections 8 --classes 81 97 --repeats 1",
    "live_metrics": "--steps 40 --log-every 10 --images 1 --size 16 --rounds 1",
    "mask_last_layer": "--classes 40 --rois 4 --distinct 4 --repeats 1",
    "mask_targets": "--height 80 --width 120 --objects 3 --rois 6 --repeats 1",
    "pasting": "--objects 5 --height 60 --width 80 --repeats 1",
    "train_step": "--height 64 --width 64 --objects 2 --rois 8 --proposals 20 --classes 5 9 --rounds 1 --no-mlp",
    "throughput": "--images 1 --min-size 32 --max-size 64 --rois 8 --proposals 20 --classes 81 --detections 5 "
    "--warm-up 0 --steps 1 --no-compiled --no-profile",
    "metadata": "--fraction 0.002 --folder files --out records --runs parse_and_encode records-1 straightforward-1",
}


def last_line(name: str, options: str, folder: Path) -> dict[str, object]:
    """The JSON object that a benchmark ends with."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"benchmarks.{name}", *options.split()]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_ends_with_its_figures(name: str, tmp_path: Path) -> None:
    report = last_line(name, SMALL[name], tmp_path)
    assert isinstance(report["ratio"], float)
    assert report.get("identical", report.get("same_records"))


def test_a_profile_shows_parts_and_operators(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(OrderedDict(backbone=nn.Conv2d(3, 4, 3), head=nn.Conv2d(4, 2, 1)))
    image = torch.zeros(1, 3, 8, 8)
    expected = model(image)
    show_profile(model, lambda: model(image), steps=2, on_gpu=False)
    assert torch.equal(model(image), expected)
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("part: backbone", "part: head", "aten::", "in      1.0 calls"))


@pytest.mark.slow
def test_wait_policies_are_compared(tmp_path: Path) -> None:
    report = last_line("wait_policy", "--steps 1 --warm-up 1 --rounds 1 --images 20 --others 1 --threads 1", tmp_path)
    assert {"ratio", "ratio_free", "cpu_busy_default", "cpu_busy_PASSIVE"} <= report.keys()


@pytest.mark.slow
@pytest.mark.skipif("MASKX_REAL_SAMPLE" not in os.environ, reason="MASKX_REAL_SAMPLE names no sample")
def test_shards_of_real_images_are_measured(tmp_path: Path) -> None:
    assert last_line("shard_writing", "--each 8 --held-out 16 --rounds 1", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("MASKX_REAL_SAMPLE" not in os.environ, reason="MASKX_REAL_SAMPLE names no sample")
def test_loaders_of_real_images_are_compared(tmp_path: Path) -> None:
    options = "--images 64 --rounds 1 --toy-steps 1 --index-images 9000 --index-ranks 2"
    assert {"ratio", "waiting", "index_mib"} <= last_line("loader", options, tmp_path).keys()


@pytest.mark.slow
def test_studies_of_a_generated_world_end_with_their_figures(tmp_path: Path) -> None:
    options = (
        "--seeds 10 --worlds pairs --variants cls --folds 1 --out . --jobs 1 --images 160 --val-images 40 --steps 2"
    )
    report = last_line("holdout", options, tmp_path)
    assert {"largest_error", "flags_missed", "largest_regret"} <= report.keys()
    worlds = report["worlds"]
    assert isinstance(worlds, list)
    assert [each["variant"] for each in worlds[0]["variants"]] == ["class_agnostic", "cls"]
    preset = get_preset("toy")
    stage1 = replace(preset.stage1, steps=2)
    train_detector(
        f"{tmp_path}/pairs-10/dataset", f"{tmp_path}/detector", replace(preset, crops=NO_CROPS, stage1=stage1)
    )
    options = "--dataset pairs-10/dataset --detector detector --mask-classes pairs-10/A.txt --out tables --jobs 1"
    report = last_line("table_causes", f"{options} --heads class_agnostic --steps 2 --learning-rates 0.001", tmp_path)
    rows = report["rows"]
    assert isinstance(rows, list)
    assert [each["method"] for each in rows] == ["class_agnostic", "grabcut"]


@pytest.mark.slow
def test_heads_in_a_generated_world_are_compared(tmp_path: Path) -> None:
    report = last_line("toy_margin", "--seeds 1 --out . --jobs 1 --images 160 --val-images 20 --steps 2", tmp_path)
    assert {"ratio", "wins", "class_agnostic_of_oracle", "means"} <= report.keys()
    assert (tmp_path / "hues-1" / "margin.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["resnet50", "toy"])
def test_ranks_are_compared_with_processes_apart(detector: str, tmp_path: Path) -> None:
    options = f"--detector {detector} --steps 3 --warm-up 1 --images-per-batch 2 --min-size 64 --images 20 --rounds 1"
    report = last_line("ranks", options, tmp_path)
    seconds = report["seconds"]
    assert isinstance(seconds, list)
    assert all(value > 0 for value in seconds[0].values())


@pytest.mark.slow
def test_masks_made_of_boxes_are_measured(tmp_path: Path) -> None:
    records, _ = random_world(0, 160, ["cup", "chair"])
    write_dataset(tmp_path / "data", records, ["cup", "chair"])
    write_model(tmp_path / "model", ["cup", "chair"], "transfer")
    report = last_line("annotate", "--model model --oracle model --dataset data", tmp_path)
    assert (report["mask_ap_B"], report["mean_iou_B"]) == (report["oracle_mask_ap_B"], report["oracle_mean_iou_B"])
    assert {"mask_ap_B", "mean_iou_B", "correlation_B", "score_minus_iou_B", "ratio"} <= report.keys()


@pytest.mark.slow
def test_batch_prediction_is_compared_with_a_loop(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", random_world(0, 8, ["cup", "chair"])[0], ["cup", "chair"])
    write_model(tmp_path / "model", ["cup", "chair"], "transfer")
    report = last_line("batch_prediction", "--model model --dataset data --rounds 1", tmp_path)
    assert {"ratio", "cpu_ratio"} <= report.keys()
    assert report["identical"]


def test_no_layer_of_ours_is_in_what_a_model_is_compared_with() -> None:
    """The losses would agree all the same: only the time would tell."""
    from benchmarks.torchvisions import torchvisions_model
    from benchmarks.train_step import Options, our_model
    from benchmarks.way import Way

    ours = our_model(Way("torchvision", 5), Options(height=64, width=64, classes=(5, 9)))
    theirs = torchvisions_model(ours, ours.detector.rpn.rpn.head)
    assert {type(each) for each in theirs.modules() if type(each).__module__.startswith("maskx_model")} == set()
