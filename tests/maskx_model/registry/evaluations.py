"""Evaluations with chosen numbers, and what the registry says."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from maskx_model.evaluation.metrics import Evaluation


def aliases(client: Any, name: str) -> dict[str, str]:
    """Alias → version."""
    return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}


def measured(
    world: Path,
    model: str,
    b: float | None,
    a: float = 30.0,
    baseline: float | None = 1.0,
    ground_truth: str | None = None,
    **made_from: str,
) -> str:
    """The folder of an evaluation of the model with other mask AP: on A, on B (its mean with A is that on all), and on
    B and all classes of the class-agnostic model; or on other records, and made in another way."""
    evaluation = msgspec.json.decode((world / f"evaluation-{model}/metrics.json").read_bytes(), type=Evaluation)
    ap = {"transfer": {"A": a, "B": b, "all": a if b is None else (a + b) / 2}}
    if baseline is not None:
        ap["class_agnostic"] = {"A": baseline, "B": None if b is None else baseline, "all": baseline}
    changed = msgspec.structs.replace(
        evaluation,
        ap=ap,
        ground_truth=ground_truth or evaluation.ground_truth,
        made_from={**evaluation.made_from, **made_from},
    )
    encoded = msgspec.json.encode(changed)
    folder = world / f"evaluation-{hashlib.sha256(encoded).hexdigest()[:16]}"
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").write_bytes(encoded)
    return str(folder)
