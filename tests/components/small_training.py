"""The detector's component on a tiny training: as a call, and as a process of its own (`python -m … ARGUMENTS`)."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.train_detector import train_detector
from data_prep.storage.storage import write
from maskx_model.configure.yaml_text import to_yaml
from tests.maskx_model.tiny_presets import tiny


def arguments(
    folder: Path, dataset: str, out: str, steps: int, batch: int = 4, validate_every: int | None = None, **changes: Any
) -> dict[str, Any]:
    """The component's arguments for a training of so many steps; its configuration is written to the folder.

    Crops hardly train: AdamW's first steps are signs, which the rounding of a sum over ranks turns around.
    """
    run = tiny(steps)
    crops, stage1 = replace(run.crops, learning_rate=1e-7), replace(run.stage1, images_per_batch=batch)
    stage1 = replace(stage1, validate_every=validate_every, validate_images=4)
    run = replace(run, name="toy", crops=crops, stage1=stage1)
    write(folder / "config.yaml", to_yaml(run).encode())
    asked = {
        "dataset": dataset,
        "out": str(folder / out),
        "config": str(folder / "config.yaml"),
        "tracking_uri": "",
        "experiment": "maskx",
        "nodes": "1",
        "node_cpu": "1",
        "node_memory": "4Gi",
        "node_accelerators": "0",
        "accelerator_kind": "nvidia.com/gpu",
        "node_selector": {},
        "tolerations": [],
    }
    return asked | changes


def run(asked: dict[str, Any]) -> str:
    """Call the component's body."""
    return str(train_detector.python_func(**asked))


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
