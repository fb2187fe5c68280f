"""Runs of `maskx predict` on small images."""

from pathlib import Path
from typing import Any

from PIL import Image

from maskx_model.inference.predict_files import PredictOptions
from maskx_model.inference.predict_files import predict_files as run

NAMES = ["cup", "chair"]


def predict_files(model: str, inputs: list[Path], out: Path, **options: Any) -> int:
    return run(model, [str(each) for each in inputs], str(out), PredictOptions(**options))


def image_file(path: Path, width: int = 100, height: int = 80) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(path)
    return path
