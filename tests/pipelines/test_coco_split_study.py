"""The study of the paper's tables and Figure 3 as a pipeline: as it is compiled, and whole at toy size."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from maskx_model.study.splits import check_splits
from pipelines.compiling import compiled, steps_of, tasks_of
from pipelines.local import run_locally

BESIDE = Path(__file__).parents[2] / "pipelines" / "coco_split_study.yaml"
TOY = [
    "data.toy_images=40",
    "data.toy_val_images=10",
    "data.classes=none",
    "data.max_rejected=0.5",
    "detector.score_threshold=0",
    "crops.steps=4",
    "stage1.steps=4",
    "stage2.steps=2",
]


@pytest.fixture(scope="module")
def spec() -> Any:
    return next(yaml.safe_load_all(BESIDE.read_text(encoding="utf-8")))


def test_the_yaml_beside_the_study_is_in_step_with_it() -> None:
    text = BESIDE.read_text(encoding="utf-8")
    assert text == compiled(pipeline="coco_split_study"), "run `make pipeline`"
    assert text.isascii()


def test_the_papers_splits_and_rows_exist(spec: Any) -> None:
    splits = spec["root"]["inputDefinitions"]["parameters"]["splits"]["defaultValue"]
    assert len([split for split in splits if split.startswith("figure3:")]) == 25
    check_splits(splits)


def test_splits_share_the_detector_and_its_features_and_wait_for_nothing_else(spec: Any) -> None:
    (name,) = (name for name, task in tasks_of(spec).items() if "parameterIterator" in task)
    loop = tasks_of(spec)[name]
    assert loop["iteratorPolicy"]["parallelismLimit"] > 1
    inside = spec["components"][loop["componentRef"]["name"]]["dag"]["tasks"]
    assert set(inside) == {"study-split"}
    assert set(steps_of(spec)) - set(inside) == {
        "preflight",
        "study-splits",
        "prepare",
        "train-detector",
        "study-features",
        "study-table",
    }


def test_nothing_costs_before_the_splits_are_right(spec: Any) -> None:
    assert "study-splits" in steps_of(spec)["prepare"]["dependentTasks"]


def test_each_step_of_the_study_says_what_it_needs(spec: Any) -> None:
    for executor in spec["deploymentSpec"]["executors"].values():
        assert {"resourceCpuRequest", "resourceMemoryLimit"} <= set(executor["container"]["resources"])


@pytest.mark.slow  # it prepares data, trains a detector and twelve heads
def test_a_toy_study_ends_in_a_table_and_a_plot(tmp_path: Path) -> None:
    drawn = [f"random:{size}:{trial}" for size, trial in ((20, 1), (40, 1))]
    splits = [*(f"{a}=1a/class-agnostic; 1a/cls+box" for a in drawn), "toy=1b"]
    arguments = {"root": str(tmp_path), "preset": "toy", "overrides": TOY, "splits": splits, "accelerator_count": "0"}
    assert run_locally(arguments, tmp_path, "coco_split_study") == f"{tmp_path}/study"
    with (tmp_path / "study" / "splits.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["mask_classes"], row["classes_in_a"]) for row in rows if row["row"] == "cls+box"] == [
        ("random:20:1", "20"),
        ("random:40:1", "40"),
    ]
    assert len(rows) == 2 * 2 + 5
    assert b"classes in A" in (tmp_path / "study" / "figure3.svg").read_bytes()
    assert len(list((tmp_path / "features").glob("*.safetensors"))) > 0
    assert not list((tmp_path / "study").rglob("*.safetensors"))
