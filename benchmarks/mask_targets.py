"""Mask targets of an image: straight from run lengths to the RoIs against torchvision's bitmaps of every object."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import tyro
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from benchmarks.costs import cost, show
from benchmarks.settings import print_settings
from data_prep.format.records import Rle
from maskx_model.masks.targets import mask_targets

POINTS = 40
MOST_APART = 1e-4
"""How far two targets may be apart to count as the same."""


@dataclass(frozen=True)
class Options:
    """Image of `height` × `width`, its `objects`, and the positive `rois` of them."""

    height: int = 800
    width: int = 1333
    objects: int = 30
    rois: int = 128
    repeats: int = 10
    device: str = "cpu"


def masks_and_rois(options: Options, seed: int = 0) -> tuple[list[Rle], Tensor, Tensor]:
    """Masks with wavy outlines of all sizes, RoIs near their boxes, xyxy [R, 4], and which mask each is of, [R]."""
    rng = np.random.default_rng(seed)
    longest = min(options.height, options.width)
    radius = np.exp(rng.uniform(np.log(longest / 50), np.log(longest / 3), options.objects))
    center = rng.uniform(0, 1, (options.objects, 2)) * [options.width, options.height]
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    masks, boxes = [], []
    for r, c in zip(radius, center, strict=True):
        outline = c + (r * rng.uniform(0.7, 1, POINTS) * np.stack([np.cos(angle), np.sin(angle)])).T
        outline = outline.clip(0, [options.width, options.height])
        compressed = coco_mask.frPyObjects([outline.ravel().tolist()], options.height, options.width)[0]
        masks.append(Rle((options.height, options.width), compressed["counts"].decode()))
        boxes.append(np.concatenate([outline.min(0), outline.max(0)]))
    matched = np.arange(options.rois) % options.objects
    near = np.stack(boxes)[matched] + rng.normal(0, 0.1, (options.rois, 4)) * radius[matched, None]
    rois = near.clip(0, [options.width, options.height] * 2)
    device = options.device
    return masks, torch.from_numpy(rois).float().to(device), torch.from_numpy(matched).to(device)


def bitmaps(masks: list[Rle]) -> Tensor:
    """uint8 [N, H, W], as torchvision's reference scripts decode them."""
    decoded = coco_mask.decode([{"size": list(mask.size), "counts": mask.counts.encode()} for mask in masks])
    return torch.from_numpy(np.ascontiguousarray(decoded.transpose(2, 0, 1)))


def by_bitmaps(masks: list[Rle], boxes: Tensor, matched: Tensor) -> Tensor:
    """torchvision's way."""
    targets: Tensor = project_masks_on_boxes(bitmaps(masks).to(boxes.device), boxes, matched, 28)
    return targets


def targets_of(way: Callable[[list[Rle], Tensor, Tensor], Tensor], options: Options) -> Callable[[], Tensor]:
    """The image's targets, made in that way; waits for the device."""
    given = masks_and_rois(options)
    return lambda: way(*given).cpu()


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    costs = {
        "torchvision, bitmaps": cost(partial(targets_of, by_bitmaps, options), options.repeats, options.device),
        "ours, run lengths": cost(partial(targets_of, mask_targets, options), options.repeats, options.device),
    }
    show(costs)
    theirs, ours = costs.values()
    apart = (targets_of(mask_targets, options)() - targets_of(by_bitmaps, options)()).abs().max().item()
    report = {
        "ratio": round(theirs.milliseconds / ours.milliseconds, 1),
        "memory_ratio": round(theirs.megabytes / max(ours.megabytes, 1.0), 1),
        "apart": apart,
        "identical": apart < MOST_APART,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options))
