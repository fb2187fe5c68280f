"""What a run tells at its end."""

import json
from pathlib import Path

import pytest

from data_prep.storage.errors import DataError
from pipelines.summary import Costs, table, write_summary

APS = {"class_agnostic": {"A": 30.0, "B": 12.5, "all": 26.0}, "transfer": {"A": 31.0, "B": None, "all": 29.9}}


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / "evaluation").mkdir()
    metrics = {"ap": APS, "ap_gt_boxes": APS, "box_ap": APS, "images": 3}
    (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def test_the_summary_repeats_the_accuracies_and_adds_costs_and_places(run_folder: Path) -> None:
    Costs.of(run_folder).add("prepare", 2.0)
    write_summary(run_folder, str(run_folder), "models:/maskx/1")
    summary = json.loads((run_folder / "summary.json").read_text())
    assert summary["ap"] == summary["ap_gt_boxes"] == APS
    assert summary["seconds"] == {"prepare": 2.0}
    assert summary["cpu_seconds"] > 0
    assert summary["model_uri"] == "models:/maskx/1"
    assert summary["report"] == str(run_folder / "evaluation" / "report.html")


def test_costs_add_up_over_the_runs_that_it_took(run_folder: Path) -> None:
    first = Costs.of(run_folder)
    first.add("sources", 1.0)
    first.add("prepare", 2.0)
    again = Costs.of(run_folder)
    again.add("prepare", 0.5)
    assert Costs.of(run_folder).seconds == {"sources": 1.0, "prepare": 2.5}
    assert Costs.of(run_folder).cpu_seconds >= first.cpu_seconds


@pytest.mark.parametrize("file", ["costs.json", "evaluation/metrics.json"])
def test_a_damaged_file_is_named_with_the_remedy(run_folder: Path, file: str) -> None:
    (run_folder / file).write_bytes(b'{"seconds":{"\xf3ources":1.0},"ap":{"\xf4ransfer":{}},"ap_gt_boxes":{}}')
    with pytest.raises(DataError, match=rf"{file}: damaged .*; delete it and give the command again"):
        write_summary(run_folder, str(run_folder), "models:/maskx/1")


def test_the_table_has_a_row_for_each_kind_and_step(run_folder: Path) -> None:
    Costs.of(run_folder).add("prepare", 2.0)
    text = table(write_summary(run_folder, str(run_folder), "models:/maskx/1"))
    rows = [line.split() for line in text.splitlines()]
    assert ["class-agnostic", "30.0", "12.5", "26.0"] in rows
    assert ["transfer", "31.0", "–", "29.9"] in rows
    assert ["prepare", "2"] in rows
