"""The paper's large run on a few images: its preset, a world of 3,001 classes, and a script for one stage."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.toy_world import write_toy_world
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig
from maskx_model.training.stages import train_detector, train_masks

STEPS = 3
CLASSES = 3001
OUT_OF_FASHION = "red striped"
"""A class of COCO's that Visual Genome's 3,000 are without, as in the real data."""


def preset(weights: str) -> RunConfig:
    """`vg3000_r101` in all but sizes and steps: images of 224 pixels, one at a time, three steps a stage.
    Only stage 2 writes checkpoints on the way.

    `weights`: a file of ResNet-101's. The score threshold is one that a model of so few steps can reach: 1 in 3,000.
    """
    paper = get_preset("vg3000_r101")
    return replace(
        paper,
        detector=replace(paper.detector, weights=weights, min_size=224, max_size=299, score_threshold=0.00036),
        stage1=replace(paper.stage1, steps=STEPS, images_per_batch=1, checkpoint_every=STEPS, log_every=1),
        stage2=replace(paper.stage2, steps=STEPS, images_per_batch=1, checkpoint_every=1, log_every=1),
    )


def write_world(folder: Path) -> None:
    """A toy world whose Visual Genome file names 3,000 synsets: 59 of COCO's classes, and 2,941 seen once."""
    write_toy_world(folder, images=40, val_images=8)
    coco = json.loads((folder / "coco/annotations/instances_train2017.json").read_text())
    common = [c["name"].replace(" ", "_") for c in coco["categories"] if c["name"] != OUT_OF_FASHION]
    assert len(common) == len(coco["categories"]) - 1
    synsets = [f"{name}.n.01" for name in common * 2]
    synsets += [f"thing_{number:04d}.n.01" for number in range(CLASSES - 1 - len(common))]
    genome = folder / "visual_genome"
    images = json.loads((genome / "image_data.json").read_text())
    rng = np.random.default_rng(0)
    records: list[dict[str, Any]] = []
    for image, share in zip(images, np.array_split(rng.permutation(synsets), len(images)), strict=True):
        boxes = [_box(rng, image["width"], image["height"]) for _ in share]
        objects = [
            {"object_id": 10_000 * len(records) + i + 1, "names": ["thing"], "synsets": [str(s)], **box}
            for i, (s, box) in enumerate(zip(share, boxes, strict=True))
        ]
        records.append({"image_id": image["image_id"], "objects": objects})
    (genome / "objects.json").write_text(json.dumps(records))


def _box(rng: np.random.Generator, width: int, height: int) -> dict[str, int]:
    w, h = (int(n) for n in rng.integers(12, 60, 2))
    return {"x": int(rng.integers(0, width - w)), "y": int(rng.integers(0, height - h)), "w": w, "h": h}


if __name__ == "__main__":
    stage, dataset, detector, out, weights = sys.argv[1:]
    if stage == "detector":
        train_detector(dataset, out, preset(weights))
    else:
        train_masks(dataset, detector, out, preset(weights))
