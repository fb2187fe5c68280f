"""What is measured: models of how many classes, computed how, on which images."""

from dataclasses import dataclass

import torch

from benchmarks.way import Way
from maskx_model.config import Compute

SHAPES = ((480, 640), (640, 480), (427, 640), (640, 427), (375, 500), (500, 375), (612, 612), (426, 640))
"""COCO's most usual images: (height, width)."""


@dataclass(frozen=True)
class Options:
    """Images of COCO's usual shapes, scaled to `min_size` pixels at their shorter side; `images` in a batch of
    training, with `proposals` and `rois` for each, and one at a time at inference, with at most `detections`; `classes`
    with the background. `warm_up` batches come before the `steps` that are measured."""

    images: int = 8
    objects: int = 10
    min_size: int = 800
    max_size: int = 1333
    proposals: int = 2000
    rois: int = 512
    detections: int = 100
    classes: tuple[int, ...] = (81, 3001)
    warm_up: int = 8
    steps: int = 16
    compiled: bool = True
    """Measure ours with a compiled backbone, too."""
    profile: bool = True
    """Show what is left: where the last way's time goes."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"


def all_ways(options: Options) -> list[Way]:
    """torchvision's as its reference script has it, with autocast and without; ours, the fastest last."""
    ours = [Compute(), Compute("bf16"), *([Compute("bf16", compile_backbone=True)] if options.compiled else [])]
    ways = []
    for classes in options.classes:
        ways += [Way("torchvision", classes, compute=compute) for compute in (Compute(), Compute("bf16"))]
        ways += [Way("ours", classes, compute=compute) for compute in ours]
    return ways
