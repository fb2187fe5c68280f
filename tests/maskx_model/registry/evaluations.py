"""Evaluations with chosen numbers, and what the registry says."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from maskx_model.artifacts.model_folder import read_model_manifest
from maskx_model.config import MaskConfig
from maskx_model.evaluation.estimate_file import SHARED, EstimateOfB, head_hash, write_estimate
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


def estimated(model: Path, folder: Path, on_b: float, margin: float) -> str:
    """The folder of an estimate for a model, with those numbers."""
    made_from = read_model_manifest(str(model)).made_from
    mask = msgspec.convert(msgspec.json.decode((model / "config.json").read_bytes())["model"]["mask"], MaskConfig)
    shared = {name: made_from.get(name) for name in SHARED} | {"head": head_hash(mask)}
    write_estimate(str(folder), EstimateOfB(on_b, 2.5, 18.0, margin, 1.0, (("cup",), ("chair",)), (0,), shared))
    return str(folder)
