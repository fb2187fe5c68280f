"""The real thing's shape, once through: R101-FPN, 3,001 classes, the paper's MLP; killed in stage 2,
resumed, and used."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pycocotools import mask as rle_codec
from torchvision.models import resnet101

from data_prep.format.reader import Dataset
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from maskx_model.artifacts.model_folder import read_model_manifest
from tests.maskx_model.full_shape import CLASSES, OUT_OF_FASHION, STEPS, preset, write_world
from tests.maskx_model.killing import kill_in_the_middle
from tests.processes import REPOSITORY

MEMORY_LIMIT = 10 << 30
"""Bytes; the issue asks for well under 20 GB."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not outlive the test: its models and checkpoints are several gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
def test_full_shape(folder: Path) -> None:
    dataset = prepared(folder)
    detector, masks = f"{folder}/detector", f"{folder}/masks"
    train(folder, "detector", detector)
    train_through_a_kill(folder, "masks", masks, "rate-0.02/checkpoint")
    parameters = sizes(masks)
    assert parameters["detector.roi_heads.box_predictor.cls_score.weight"] == [CLASSES + 1, 1024]
    assert parameters["mask_branch.transfer.layers.0.weight"] == [256, 5120]
    assert parameters["mask_branch.mlp.1.weight"] == [784, 200_704]
    evaluation, tracking = f"{folder}/evaluation", f"sqlite:///{folder}/mlflow.db"
    maskx(f"evaluate --model {masks} --dataset {dataset} --out {evaluation} --max-images 2")
    numbers = json.loads(Path(evaluation, "metrics.json").read_text())
    assert numbers["images"] == 2 and set(numbers["ap_gt_boxes"]["transfer"]) == {"A", "B", "all"}
    registered = maskx(
        f"model register --model {masks} --evaluation {evaluation} --name full --tracking-uri {tracking}"
    )
    assert registered.split()[-1] == "models:/full/1"
    image = min((folder / "original/coco/val2017").iterdir())
    maskx(f"predict models:/full/1 {image} --out {folder}/found --tracking-uri {tracking}")
    check_predictions(folder / "found")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MEMORY_LIMIT


def prepared(folder: Path) -> str:
    """`original`, `data` with 3,001 classes, and `r101.pth`, which stands in for ImageNet's weights."""
    write_world(folder / "original")
    sources = (f"coco=coco:{folder}/original/coco", f"vg=vg:{folder}/original/visual_genome")
    out = f"{folder}/data"
    prepare(PrepareOptions(sources, out, classes=preset("").data.classes, max_rejected=0.5))
    vocabulary = Dataset.open(out).vocabulary
    assert len(vocabulary) == CLASSES
    assert "vg" not in vocabulary.classes[vocabulary.find(OUT_OF_FASHION) or 0].sources
    torch.manual_seed(0)
    state = resnet101(weights=None).state_dict()
    for name, value in state.items():
        if name.endswith("bn3.weight"):
            value.fill_(0.2)  # as trained ones, small: with frozen batch norm larger ones would add up to infinity
    torch.save(state, folder / "r101.pth")
    return out


def training(folder: Path, stage: str, out: str) -> list[str]:
    """The arguments of Python that train a stage."""
    return [
        "-m",
        "tests.maskx_model.full_shape",
        stage,
        f"{folder}/data",
        f"{folder}/detector",
        out,
        f"{folder}/r101.pth",
    ]


def train(folder: Path, stage: str, out: str) -> None:
    subprocess.run([sys.executable, *training(folder, stage, out)], cwd=REPOSITORY, check=True)
    assert "model.safetensors" in read_model_manifest(out).files


def train_through_a_kill(folder: Path, stage: str, out: str, checkpoints: str) -> None:
    kill_in_the_middle(training(folder, stage, out), Path(out, checkpoints), after=1)
    assert not Path(out, "manifest.json").exists()
    checkpoint = max(Path(out, checkpoints).glob("step-*"))
    before = (checkpoint / "metrics.jsonl").read_bytes()
    train(folder, stage, out)
    after = Path(out, "metrics.jsonl").read_bytes()
    assert before and after.startswith(before)
    steps = [json.loads(line)["step"] for line in after.splitlines()]
    assert steps[:STEPS] == list(range(1, STEPS + 1))


def sizes(model: str) -> dict[str, list[int]]:
    """The shapes of a model's parameters, from the head of the file."""
    with Path(model, "model.safetensors").open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: entry["shape"] for name, entry in head.items() if name != "__metadata__"}


def maskx(words: str) -> str:
    """Run the command in a fresh process; returns what it prints."""
    command = [sys.executable, "-m", "pipelines.cli", *words.split()]
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def check_predictions(folder: Path) -> None:
    results = json.loads((folder / "results.json").read_text())
    (image,) = json.loads((folder / "images.json").read_text())["images"]
    assert 0 < len(results) <= 100
    for result in results:
        assert result["segmentation"]["size"] == [image["height"], image["width"]]
        assert rle_codec.decode(result["segmentation"]).shape == (image["height"], image["width"])
    assert (folder / image["overlay"]).stat().st_size > 0
