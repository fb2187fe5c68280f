"""Running the pipeline on this machine, for real, as far as a broken input lets it. `make demo` runs all of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.local import StepError, run_locally

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def broken_data(tmp_path: Path) -> Path:
    """COCO's folder with an annotation file that ends in the middle."""
    annotations = tmp_path / "data" / "coco" / "annotations"
    annotations.mkdir(parents=True)
    for split in ("train2017", "val2017"):
        (annotations / f"instances_{split}.json").write_text('{"images": [{"id": 1, "file_')
        (annotations.parent / split).mkdir()
    return tmp_path / "data"


@pytest.mark.slow
def test_a_failing_step_ends_the_run_in_its_own_sentence(broken_data: Path, tmp_path: Path) -> None:
    words = ["pipeline", "run", "--preset", "real_sample", "--data", str(broken_data), "--out", "out"]
    command = [sys.executable, "-m", "pipelines.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("maskx: step prepare failed: ")
    assert "instances_train2017.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == [
        "[1/9] preflight",
        "[2/9] prepare",
        "[3/9] finish",
    ]
    assert "Traceback" in (tmp_path / "out" / "pipeline.log").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "out"}
    assert not (tmp_path / "out" / "summary.json").exists()
    assert not (tmp_path / "out" / "dataset" / "manifest.json").exists()


def test_what_is_wrong_in_five_ways_is_told_in_five_lines_by_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    wrong = {"overrides": ["stage1.stpes=3"], "seed": -7, "mask_classes": "vox", "registered_name": "a/b"}
    arguments = {"root": str(root), "tracking_uri": "", "preset": "toy", "accelerator_count": "0", **wrong}
    with pytest.raises(StepError, match="step preflight failed: 5 things are wrong:") as error:
        run_locally(arguments, tmp_path)
    assert sum(line.startswith("- ") for line in str(error.value).splitlines()) == 5
    steps = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert steps == ["[1/9] preflight", "[2/9] finish"]
    assert list(root.iterdir()) == []
