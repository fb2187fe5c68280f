"""From 28 × 28 probabilities to run-length encoded masks over an image: ours against torchvision's pasting of
whole bitmaps and pycocotools' encoding."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import tyro
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from benchmarks.costs import cost, show
from benchmarks.settings import print_settings
from data_prep.format.records import Rle
from maskx_model.masks.pasting import MASK_THRESHOLD, paste


@dataclass(frozen=True)
class Options:
    """`objects` found in an image of `height` × `width`."""

    objects: int = 100
    height: int = 480
    width: int = 640
    repeats: int = 5


def found(options: Options) -> tuple[Tensor, Tensor]:
    """Blobs, float32 [N, 28, 28] in 0..1, and their boxes xyxy [N, 4] of all sizes."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(options.objects, 1, 5, 5, generator=generator)
    masks = torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear")[:, 0]
    limit = torch.tensor([options.width, options.height])
    corner = torch.rand(options.objects, 2, generator=generator) * limit * 0.9
    side = limit * 2 ** (-5 * torch.rand(options.objects, 1, generator=generator))
    return masks, torch.cat([corner, (corner + side).minimum(limit)], dim=1)


def by_bitmaps(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> list[Rle]:
    """torchvision's and pycocotools' way."""
    bitmaps = (paste_masks_in_image(masks[:, None], boxes, size)[:, 0] > MASK_THRESHOLD).numpy()
    encoded = coco_mask.encode(np.asfortranarray(bitmaps.transpose(1, 2, 0).astype(np.uint8)))
    return [Rle(size, each["counts"].decode()) for each in encoded]


Way = Callable[[Tensor, Tensor, tuple[int, int]], list[Rle]]


def masks_over_image(way: Way, options: Options) -> Callable[[], list[Rle]]:
    """The objects' masks over the image."""
    return partial(way, *found(options), (options.height, options.width))


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    ways: dict[str, Way] = {"torchvision and pycocotools": by_bitmaps, "ours": paste}
    costs = {name: cost(partial(masks_over_image, way, options), options.repeats) for name, way in ways.items()}
    show(costs)
    theirs, ours = costs.values()
    equal = masks_over_image(by_bitmaps, options)() == masks_over_image(paste, options)()
    report = {
        "ratio": round(theirs.milliseconds / ours.milliseconds, 2),
        "memory_ratio": round(theirs.megabytes / max(ours.megabytes, 1.0), 1),
        "identical": equal,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options))
