"""A training on a full disk: it says so, and goes on from there when there is room."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.format.reader import Dataset
from tests.readme import ROOT

LIMIT = 50_000
"""Bytes of a file at most, fewer than the weights have; as a quota does, for machines where nobody may mount a disk."""


@pytest.mark.slow
def test_a_checkpoint_that_finds_no_room_is_named_and_the_training_goes_on_later(
    toy_dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "detector"
    command = [sys.executable, "-m", "tests.maskx_model.tiny_presets", "detector", toy_dataset.uri, "", str(out), "4"]
    failed = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY)),
    )
    assert failed.returncode == 1
    message = rf"StorageError: {out}/\S+: cannot be written \(File too large\); make room"
    assert re.search(message, failed.stderr), failed.stderr[-2000:]
    assert not (out / "manifest.json").exists()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert (out / "manifest.json").exists()
