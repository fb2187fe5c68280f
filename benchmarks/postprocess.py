"""From class logits to detections at thousands of classes: threshold before decoding against torchvision's way."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import tyro
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads

from benchmarks.costs import cost, show
from benchmarks.settings import print_settings
from maskx_model.model.roi_heads import SparseRoIHeads

IMAGE = (800, 1333)
Detections = tuple[list[Tensor], list[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Options:
    """`classes` K, `proposals` of an image, and `objects` that `near` (a share) of them gather around."""

    classes: int = 3001
    proposals: int = 1000
    objects: int = 30
    near: float = 0.4
    repeats: int = 5


def detections(heads: type[RoIHeads], options: Options) -> Callable[[], Detections]:
    """Post-processing of one image by the torchvision heads or by ours, on the same logits and box regression."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(options.objects, 2, generator=generator) * 600
    objects = torch.cat([corner, corner + 40 + torch.rand(options.objects, 2, generator=generator) * 160], dim=1)
    of = torch.arange(options.proposals) % options.objects
    proposals = objects[of] + torch.randn(options.proposals, 4, generator=generator) * 8
    logits = torch.randn(options.proposals, options.classes + 1, generator=generator)
    logits[:, 0] += 12
    label = torch.randint(1, options.classes + 1, (options.objects,), generator=generator)
    near = torch.arange(int(options.near * options.proposals))
    logits[near, label[of[near]]] += 12 + 3 * torch.randn(len(near), generator=generator)
    regression = torch.randn(options.proposals, 4 * (options.classes + 1), generator=generator) * 0.3
    made = _heads(heads)
    return lambda: made.postprocess_detections(logits, regression, [proposals], [IMAGE])


def _heads(kind: type[RoIHeads]) -> RoIHeads:
    """Heads with torchvision's defaults; their layers are not used."""
    predictor = FastRCNNPredictor(1, 2)
    return kind(nn.Identity(), nn.Identity(), predictor, 0.5, 0.5, 512, 0.25, None, 0.05, 0.5, 100)


def identical(options: Options) -> tuple[bool, int]:
    """Whether both ways give the very same numbers, and how many detections there are."""
    ours, theirs = detections(SparseRoIHeads, options)(), detections(RoIHeads, options)()
    equal = all(torch.equal(a[0], b[0]) for a, b in zip(ours, theirs, strict=True))
    return equal, len(ours[0][0])


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    costs = {
        "torchvision": cost(partial(detections, RoIHeads, options), options.repeats),
        "ours": cost(partial(detections, SparseRoIHeads, options), options.repeats),
    }
    show(costs)
    theirs, ours = costs.values()
    equal, found = identical(options)
    print(f"detections: {found}")
    ratio = theirs.milliseconds / ours.milliseconds
    print(json.dumps({"ratio": round(ratio, 1), "identical": equal}))


if __name__ == "__main__":
    main(tyro.cli(Options))
