"""Runs of the whole pipeline, small, against local services: with the command that a person types."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.storage.storage import list_files, read
from tests.readme import ROOT
from tests.services.local_services import LocalServices

SMALL = (
    "data.toy_images=40",
    "data.toy_val_images=10",
    "data.classes=none",
    "data.max_rejected=0.5",
    "detector.score_threshold=0",
    "crops.steps=4",
    "stage1.steps=6",
    "stage1.checkpoint_every=2",
    "stage2.steps=6",
    "stage2.checkpoint_every=2",
)
"""Changes of the toy preset: half a minute of work."""


WHOLE = "whole"
"""What the run is called that nothing disturbs."""


@dataclass(frozen=True)
class PipelineRun:
    """A run: its folder here, its root in the store, the model's name, and the environment that it runs in."""

    folder: Path
    root: str
    name: str
    environment: dict[str, str]

    @property
    def out(self) -> Path:
        """Where log and times go."""
        return self.folder / "out"

    def start(self, overrides: Sequence[str] = ()) -> dict[str, list[str]]:
        """Run the pipeline to its end; returns the lines below each step. Fails if it fails."""
        words = ["pipeline", "run", "--preset", "toy", "--estimate", "--out", str(self.out), "--root", self.root]
        words += ["--registered-name", self.name]
        words += [word for each in (*SMALL, *overrides) for word in ("--set", each)]
        command = [sys.executable, "-m", "pipelines.cli", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        with (self.folder / "terminal.txt").open("a", encoding="utf-8") as file:
            file.write(done.stdout + done.stderr)
        assert done.returncode == 0, done.stderr
        return by_step(done.stdout)


@dataclass(frozen=True)
class Whole:
    """A run that nothing disturbs: what was shown below each step, and what lay below the root after it."""

    run: PipelineRun
    shown: dict[str, list[str]]
    content: dict[str, bytes]


@dataclass(frozen=True)
class Ran:
    """Three runs of one pipeline: as it is, the same again, and with another option of the evaluation; what was shown
    below each step."""

    run: PipelineRun
    first: dict[str, list[str]]
    again: dict[str, list[str]]
    measured_otherwise: dict[str, list[str]]


def content_of(root: str) -> dict[str, bytes]:
    """The files below a run's root, without what says when, where and by which run they were made."""
    apart = ("runs/", "dataset/run.json", "config.yaml")
    return {path: read(f"{root}/{path}") for path in list_files(root) if not path.startswith(apart)}


def by_step(output: str) -> dict[str, list[str]]:
    """Name of a step → what is shown below it."""
    steps: dict[str, list[str]] = {}
    for line in output.splitlines():
        if line.startswith("["):
            steps[line.split()[1]] = []
        elif steps and line.startswith("  "):
            steps[list(steps)[-1]].append(line.strip())
    return steps


def new_run(services: LocalServices, folder: Path, name: str) -> PipelineRun:
    """A run with temporary files and a scratch of its own, and the services' environment alone."""
    for below in ("temporary", "scratch", "home"):
        (folder / below).mkdir(parents=True)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MLFLOW_"))}
    own = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder / "temporary"),
        "MASKX_SCRATCH": str(folder / "scratch"),
        "HOME": str(folder / "home"),
    }
    return PipelineRun(folder, f"s3://maskx/runs/{name}", name, {**inherited, **own, **services.environment})
