"""Every benchmark runs: in small, for its last line is what the README quotes and scripts read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme import ROOT

SMALL = {
    "postprocess": "--classes 40 --proposals 60 --objects 4 --repeats 1",
    "box_head": "--classes 40 --rois 16 --repeats 1",
    "mask_last_layer": "--classes 40 --rois 4 --distinct 4 --repeats 1",
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


@pytest.mark.slow
@pytest.mark.skipif("MASKX_REAL_SAMPLE" not in os.environ, reason="MASKX_REAL_SAMPLE names no sample")
def test_shards_of_real_photographs_are_measured(tmp_path: Path) -> None:
    assert last_line("shard_writing", "--each 8 --held-out 16 --rounds 1", tmp_path)
