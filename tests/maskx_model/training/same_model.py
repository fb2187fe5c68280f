"""Whether two trainings ended in the same model."""

from pathlib import Path

import torch

from maskx_model.artifacts.tensors import load_tensors

STEPS = 24
"""Of the trainings that are killed and compared."""


def weights(uri: str | Path) -> dict[str, torch.Tensor]:
    return load_tensors(f"{uri}/model.safetensors")


def assert_same_model(a: str | Path, b: str | Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    different = [name for name, value in first.items() if not torch.equal(value, second[name])]
    assert different == []
    assert Path(a, "metrics.jsonl").read_bytes() == Path(b, "metrics.jsonl").read_bytes()
