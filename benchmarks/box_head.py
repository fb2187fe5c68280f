"""Box predictor and losses at thousands of classes: the positives' own boxes against torchvision's dense way.

The two fully connected layers before the predictor do not depend on the number of classes; they are measured beside.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import tyro
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import fastrcnn_loss

from benchmarks.costs import cost, show
from benchmarks.settings import print_settings
from maskx_model.model.box_regression import regression_loss
from maskx_model.model.classification_loss import softmax_loss

BOX_DIM = 1024


@dataclass(frozen=True)
class Options:
    """`classes` K, `rois` of a batch, a quarter of them positives."""

    classes: int = 3000
    rois: int = 512
    repeats: int = 5


Losses = Callable[[FastRCNNPredictor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def dense(predictor: FastRCNNPredictor, vectors: Tensor, labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """torchvision's way: four numbers for each class of each RoI, then the loss looks some up."""
    logits, regression = predictor(vectors)
    losses: tuple[Tensor, Tensor] = fastrcnn_loss(logits, regression, [labels], [targets])
    return losses


def sparse(predictor: FastRCNNPredictor, vectors: Tensor, labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Ours: each positive's own four numbers."""
    classification = softmax_loss(predictor.cls_score, vectors, [labels], [])
    return classification, regression_loss(predictor, vectors, labels, targets)


def training_step(losses: Losses, options: Options, whole: bool) -> Callable[[], list[Tensor]]:
    """Forward, losses and backward of the predictor, or of the `whole` box head from pooled RoI features on; returns
    losses and gradients."""
    torch.manual_seed(0)
    head = TwoMLPHead(256 * 7 * 7, BOX_DIM) if whole else nn.Identity()
    predictor = FastRCNNPredictor(BOX_DIM, options.classes + 1)
    features = torch.randn(options.rois, 256, 7, 7) if whole else torch.rand(options.rois, BOX_DIM, requires_grad=True)
    labels = torch.zeros(options.rois, dtype=torch.int64)
    positives = options.rois // 4
    labels[:positives] = torch.randint(1, options.classes + 1, (positives,))
    targets = torch.randn(options.rois, 4)
    wanted = list(nn.ModuleList([head, predictor]).parameters()) + ([] if whole else [features])

    def step() -> list[Tensor]:
        classification, regression = losses(predictor, head(features), labels, targets)
        gradients = torch.autograd.grad(classification + regression, wanted)
        return [classification.detach(), regression.detach(), *gradients]

    return step


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    costs = {
        f"{name}, {'whole head' if whole else 'predictor and losses'}": cost(
            partial(training_step, losses, options, whole), options.repeats
        )
        for whole in (False, True)
        for name, losses in (("torchvision", dense), ("ours", sparse))
    }
    show(costs)
    theirs, ours, their_head, our_head = costs.values()
    pairs = zip(training_step(sparse, options, False)(), training_step(dense, options, False)(), strict=True)
    report = {
        "ratio": round(theirs.milliseconds / ours.milliseconds, 2),
        "memory_ratio": round(theirs.megabytes / max(ours.megabytes, 1.0), 2),
        "whole_head_ratio": round(their_head.milliseconds / our_head.milliseconds, 2),
        "identical": all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options))
