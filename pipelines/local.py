"""Runs the pipeline on this machine: the same components, one process a step, no cluster and no containers."""

import contextlib
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.storage.errors import MaskxError
from pipelines.compiling import compiled, steps_of
from pipelines.pipeline_names import PipelineName
from pipelines.step_log import StepLog
from pipelines.summary import Costs


class StepError(MaskxError):
    """A step of the pipeline that failed."""


def run_locally(arguments: Mapping[str, Any], out: Path, pipeline_name: PipelineName = "maskx_vg3000") -> str:
    """Run a pipeline with these arguments, one step after the other, and return its output, a URI.

    KFP's own files go to `<out>/kfp`, everything that the steps print to `<out>/pipeline.log`.

    Raises:
        StepError: a step failed; the message is the step's own.
    """
    _quiet_environment()
    import yaml
    from kfp import components, local

    text = compiled(on_cluster=False, pipeline=pipeline_name)
    pipeline = components.load_component_from_text(text)
    names = _step_names(next(yaml.safe_load_all(text)))
    costs = Costs.of(out)
    with (out / "pipeline.log").open("a", encoding="utf-8") as log:
        step_log = StepLog(names, log, costs.add, terminal=sys.stdout)
        with _watched(step_log):
            local.init(
                runner=local.SubprocessRunner(use_venv=False),
                pipeline_root=str(out / "kfp"),
                workspace_root=str(out / "kfp" / "workspace"),
            )
            try:
                return str(pipeline(**arguments).output)
            except RuntimeError:
                if step_log.failed is None:
                    raise
                raise StepError(
                    f"step {step_log.failed} failed: {step_log.error()} (all its output: {out / 'pipeline.log'})"
                ) from None


def _step_names(spec: Mapping[str, Any]) -> dict[str, str]:
    """Component name → display name of each step, also of those within groups."""
    return {
        task["componentRef"]["name"].removeprefix("comp-"): task["taskInfo"]["name"] for task in steps_of(spec).values()
    }


def _quiet_environment() -> None:
    """Settings that the steps' processes inherit."""
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    os.environ["PYTHONUNBUFFERED"] = "1"  # progress appears when it is made
    os.environ["PYTHONSAFEPATH"] = "1"  # a `data_prep` folder of the user's stays out of the way
    os.environ.setdefault("TQDM_MININTERVAL", "0.5")
    os.environ.setdefault("TQDM_NCOLS", str(min(100, shutil.get_terminal_size((108, 24)).columns - 8)))


@contextlib.contextmanager
def _watched(step_log: StepLog) -> Iterator[None]:
    """Let the log stand between KFP and the terminal."""
    root = logging.getLogger()
    root.addFilter(step_log)
    try:
        with contextlib.redirect_stdout(step_log), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # KFP's, about settings that only a cluster heeds
            yield
    finally:
        root.removeFilter(step_log)
