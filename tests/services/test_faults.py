"""Every step of the pipeline is killed once, in the middle of what it writes, and tried again: the end is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.storage.storage import list_files
from maskx_model.registry.mlflow_run import client_of
from tests.processes import descendants
from tests.readme import ROOT
from tests.services.local_services import LocalServices
from tests.services.pipeline_runs import SMALL, PipelineRun, Whole, content_of, new_run

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

WRITES = {
    "preflight": ("preflight", "original/"),
    "prepare": ("prepare", "dataset/"),
    "detector": ("train_detector", "detector/"),
    "masks-transfer": ("train_masks", "masks-transfer/"),
    "masks-class-agnostic": ("train_masks", "masks-class-agnostic/"),
    "estimate": ("estimate", "estimate/"),
    "evaluate": ("evaluate", "evaluation/"),
}
"""Step → its component, and what it writes below the root."""
RUNS = 3
"""The first ends in the preflight, which is not tried again; in the second every other step is struck."""


def begun(component: str, has_written: Callable[[], bool]) -> Callable[[int], int | None]:
    """Finds the process of a step, below that of the pipeline, once it has begun to write."""

    def find(pipeline: int) -> int | None:
        found = descendants(pipeline, f"--function_to_execute {component}")
        return found[0] if found and has_written() else None

    return find


def targets(run: PipelineRun, client: Any) -> dict[str, Callable[[int], int | None]]:
    """Step → what finds the process to strike."""

    def registers() -> bool:
        experiment = client.get_experiment_by_name(run.name)
        runs = client.search_runs([experiment.experiment_id], "tags.model_sha256 LIKE '%'") if experiment else []
        return any(each.info.status == "RUNNING" for each in runs)

    found = {
        step: begun(component, lambda folder=folder: bool(list_files(f"{run.root}/{folder}")))  # type: ignore[misc]
        for step, (component, folder) in WRITES.items()
    }
    return {**found, "register": begun("register", registers), "finish": begun("finish", lambda: True)}


def run_struck(run: PipelineRun, kind: signal.Signals, client: Any) -> list[str]:
    """Run the pipeline, again where it fails, and strike each step once; returns the steps that were struck."""
    arguments: dict[str, Any] = {"root": run.root, "preset": "toy", "overrides": SMALL, "registered_name": run.name}
    arguments |= {"tracking_uri": run.environment["MLFLOW_TRACKING_URI"], "accelerator_count": "0"}
    file = run.folder / "arguments.json"
    file.write_text(json.dumps(arguments))
    command = [sys.executable, "-m", "tests.services.with_retries", str(file), str(run.out)]
    waiting, struck = targets(run, client), []
    for _ in range(RUNS):
        with (run.folder / "pipeline.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=run.environment, stdout=log, stderr=log)
        while process.poll() is None:
            for step in [step for step, find in waiting.items() if strike(find, process.pid, kind)]:
                del waiting[step]
                struck.append(step)
            time.sleep(0.01)
        if process.returncode == 0:
            break
    assert process.returncode == 0, (run.folder / "pipeline.log").read_text()[-5000:]
    return struck


def strike(find: Callable[[int], int | None], pipeline: int, kind: signal.Signals) -> bool:
    victim = find(pipeline)
    if victim is None:
        return False
    os.kill(victim, kind)
    return True


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_every_step_struck_once(kind: signal.Signals, whole: Whole, services: LocalServices, tmp_path: Path) -> None:
    client = client_of(services.tracking_uri)
    run = new_run(services, tmp_path, kind.name.lower())
    struck = run_struck(run, kind, client)
    assert sorted(struck) == sorted([*WRITES, "register", "finish"])
    assert content_of(run.root) == whole.content
    assert len(client.search_model_versions(f"name = '{run.name}'")) == 1
    found = client.search_runs([client.get_experiment_by_name(run.name).experiment_id])
    runs = [each for each in found if "FAILED" not in each.data.tags.get("pipeline_ended", "")]
    assert {each.info.status for each in found} - {"FAILED"} == {each.info.status for each in runs} == {"FINISHED"}
    names = sorted(each.info.run_name for each in runs)
    assert names == sorted(
        [run.name, "detector", "masks-transfer", "masks-class-agnostic", f"{run.name}/masks-transfer"]
    )
    assert descendants(1, run.root) == []
