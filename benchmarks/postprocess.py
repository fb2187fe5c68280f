"""From the box head's vectors to detections at thousands of classes: boxes of the pairs that score, or of all pairs.

Both ways start with the vectors of an image's proposals, compute logits with the same predictor, and end with the
detections. Ours is `SparseRoIHeads.detections`, which inference calls; torchvision's is its predictor and
`postprocess_detections`, as in its own `forward`.
"""

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
BOX_DIM = 1024
BACKGROUND_BIAS = 12.0
Detections = dict[str, Tensor]


@dataclass(frozen=True)
class Options:
    """`classes` K, `proposals` of an image, and `objects` that a fraction `near` of them gather around."""

    classes: int = 3001
    proposals: int = 1000
    objects: int = 30
    near: float = 0.4
    repeats: int = 5


def detections(kind: type[RoIHeads], options: Options) -> Callable[[], Detections]:
    """Returns the call that is measured: the detections of one image by torchvision's RoI heads or by ours."""
    generator = torch.Generator().manual_seed(0)
    heads = _heads(kind, options, generator)
    corner = torch.rand(options.objects, 2, generator=generator) * 600
    objects = torch.cat([corner, corner + 40 + torch.rand(options.objects, 2, generator=generator) * 160], dim=1)
    of = torch.arange(options.proposals) % options.objects
    proposals = objects[of] + torch.randn(options.proposals, 4, generator=generator) * 8
    label = torch.randint(1, options.classes + 1, (options.objects,), generator=generator)
    near = torch.arange(int(options.near * options.proposals))
    vectors = torch.randn(options.proposals, BOX_DIM, generator=generator)
    strength = BACKGROUND_BIAS + 3 * torch.randn(len(near), 1, generator=generator)
    with torch.no_grad():  # class weights are of length 1: the logit of the object's class grows by `strength`
        vectors[near] += strength * heads.box_predictor.cls_score.weight[label[of[near]]]

    @torch.no_grad()
    def ours() -> Detections:
        (found,) = heads.detections(vectors, [proposals], [IMAGE])
        return dict(found)

    @torch.no_grad()
    def theirs() -> Detections:
        logits, regression = heads.box_predictor(vectors)
        (boxes,), (scores,), (labels,) = heads.postprocess_detections(logits, regression, [proposals], [IMAGE])
        return {"boxes": boxes, "scores": scores, "labels": labels}

    return ours if kind is SparseRoIHeads else theirs


@torch.no_grad()
def _heads(kind: type[RoIHeads], options: Options, generator: torch.Generator) -> RoIHeads:
    """Heads with torchvision's defaults; their pooling and their two fully connected layers are not used."""
    predictor = FastRCNNPredictor(BOX_DIM, options.classes + 1)
    for layer, length in ((predictor.cls_score, 1.0), (predictor.bbox_pred, 0.3)):
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * length / BOX_DIM**0.5)
        layer.bias.zero_()
    predictor.cls_score.bias[0] = BACKGROUND_BIAS
    return kind(nn.Identity(), nn.Identity(), predictor, 0.5, 0.5, 512, 0.25, None, 0.05, 0.5, 100)


def identical(options: Options) -> tuple[bool, int]:
    """Returns whether both ways find the same, up to rounding, and the number of detections."""
    ours, theirs = detections(SparseRoIHeads, options)(), detections(RoIHeads, options)()
    equal = torch.equal(ours["labels"], theirs["labels"]) and all(
        torch.allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-3) for name in ("boxes", "scores")
    )
    return equal, len(ours["boxes"])


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
    report = {
        "ratio": round(theirs.milliseconds / ours.milliseconds, 1),
        "cpu_ratio": round(theirs.cpu_milliseconds / ours.cpu_milliseconds, 1),
        "memory_ratio": round(theirs.megabytes / max(ours.megabytes, 1.0), 1),
        "identical": equal,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options))
