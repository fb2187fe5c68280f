"""Runs the pipeline as it is compiled for a cluster, with the retries of its steps, by KFP's local runner.

python -m tests.services.with_retries ARGUMENTS.json FOLDER
"""

import json
import sys
from pathlib import Path

import yaml
from kfp import components, local

from pipelines.compiling import compiled, tasks_of


def with_quick_retries() -> str:
    """The compiled pipeline without the pauses between attempts, and without the pods' scratch volume."""
    spec = next(yaml.safe_load_all(compiled()))
    for task in tasks_of(spec).values():
        if "retryPolicy" in task:
            task["retryPolicy"]["backoffDuration"] = "0s"
    for executor in spec["deploymentSpec"]["executors"].values():
        del executor["container"]["env"]
    return str(yaml.safe_dump(spec))


if __name__ == "__main__":
    arguments, folder = map(Path, sys.argv[1:])
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(folder),
        workspace_root=str(folder / "workspace"),
    )
    pipeline = components.load_component_from_text(with_quick_retries())
    print(pipeline(**json.loads(arguments.read_bytes())).output)
