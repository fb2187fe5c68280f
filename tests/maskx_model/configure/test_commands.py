"""`maskx config`: what it prints."""

from pathlib import Path

import pytest

from maskx_model.configure.choose import choose
from pipelines.cli import main


def test_show_prints_a_file_that_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "show", "coco_r50", "--set", "stage1.steps=20000", "--set", "seed=3"])
    (tmp_path / "run.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert choose(config=f"{tmp_path}/run.yaml") == choose("coco_r50", overrides=["stage1.steps=20000", "seed=3"])
    main(["config", "diff", "coco_r50", f"{tmp_path}/run.yaml"])
    assert capsys.readouterr().out.splitlines() == [
        "stage1.steps: 90000 → 20000",
        "stage1.milestones: [60000, 80000] → [13333, 17777]",
        "seed: 0 → 3",
    ]


def test_equal_configurations_have_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "diff", "toy", "toy"])
    assert capsys.readouterr().out == "no difference\n"
