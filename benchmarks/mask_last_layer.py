"""T and the last mask layer at thousands of classes: the rows that a batch needs against the K × 28 × 28 way."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from benchmarks.costs import cost, show
from benchmarks.settings import print_settings
from maskx_model.config import MaskConfig, MlpBranch
from maskx_model.model.mask_branch import MASK_SIZE, ROI_SIZE, MaskBranch, apply_class_weights
from maskx_model.model.mask_loss import mask_loss

BOX_DIM = 1024
MLPS: tuple[MlpBranch, ...] = ("none", "paper")


@dataclass(frozen=True)
class Options:
    """`classes` K, `rois` positive RoIs of a batch, `distinct` how many of the classes they are of."""

    classes: int = 3000
    rois: int = 128
    distinct: int = 20
    repeats: int = 5


def branch_of(config: MaskConfig, options: Options) -> MaskBranch:
    """The mask branch at the paper's size, from a fixed seed."""
    torch.manual_seed(0)
    return MaskBranch(config, 256, BOX_DIM, options.classes)


def labels_of(options: Options) -> Tensor:
    """Labels of the RoIs, int64 [R]."""
    generator = torch.Generator().manual_seed(1)
    return (torch.randperm(options.classes, generator=generator)[: options.distinct] + 1)[
        torch.arange(options.rois) % options.distinct
    ]


def every_class(branch: MaskBranch, features: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
    """Logits by the way of the paper's text: T for every class, K × 28 × 28 logits, then each RoI's own."""
    logits = F.conv2d(features, branch.transfer(embeddings)[:, :, None, None])
    return logits[torch.arange(len(labels)), labels]


def own_class(branch: MaskBranch, features: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
    """Logits by our way."""
    return apply_class_weights(features, branch.class_weights(labels, embeddings))


Way = Callable[[MaskBranch, Tensor, Tensor, Tensor], Tensor]


def last_layer(way: Way, options: Options) -> Callable[[], list[Tensor]]:
    """Forward, loss and backward from mask features F to T's gradients; returns logits and gradients."""
    branch = branch_of(MaskConfig(mlp="none"), options)
    features = torch.randn(options.rois, 256, MASK_SIZE, MASK_SIZE, requires_grad=True)  # branch_of has set the seed
    labels, embeddings = labels_of(options), torch.randn(options.classes + 1, 5 * BOX_DIM) * 0.01
    targets = torch.rand(options.rois, MASK_SIZE, MASK_SIZE)

    def step() -> list[Tensor]:
        logits = way(branch, features, labels, embeddings)
        gradients = torch.autograd.grad(mask_loss(logits, targets), [features, *branch.transfer.parameters()])
        return [logits.detach(), *gradients]

    return step


def whole_branch(config: MaskConfig, options: Options) -> Callable[[], object]:
    """Forward, loss and backward of the whole mask branch, from RoI features on."""
    branch = branch_of(config, options)
    roi_features = torch.randn(options.rois, 256, ROI_SIZE, ROI_SIZE)
    labels, embeddings = labels_of(options), torch.randn(options.classes + 1, 5 * BOX_DIM) * 0.01
    targets = torch.rand(options.rois, MASK_SIZE, MASK_SIZE)
    parameters = list(branch.parameters())
    return lambda: torch.autograd.grad(mask_loss(branch(roi_features, labels, embeddings), targets), parameters)


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    layer = {
        "last layer, every class": cost(partial(last_layer, every_class, options), options.repeats),
        "last layer, own class": cost(partial(last_layer, own_class, options), options.repeats),
    }
    branches = {
        f"whole branch, {kind}, MLP {mlp}": cost(
            partial(whole_branch, MaskConfig(kind=kind, mlp=mlp), options), options.repeats
        )
        for mlp in MLPS
        for kind in ("class_agnostic", "transfer")
    }
    show(layer | branches)
    every, own = layer.values()
    few = Options(classes=min(options.classes, 300), rois=16)
    identical = all(
        torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        for ours, theirs in zip(last_layer(own_class, few)(), last_layer(every_class, few)(), strict=True)
    )
    agnostic, transfer, agnostic_mlp, transfer_mlp = (branch.milliseconds for branch in branches.values())
    report = {
        "ratio": round(every.milliseconds / own.milliseconds, 1),
        "memory_ratio": round(every.megabytes / max(own.megabytes, 1.0), 1),
        "branch_against_class_agnostic": round(transfer / agnostic, 3),
        "branch_against_class_agnostic_with_mlp": round(transfer_mlp / agnostic_mlp, 3),
        "identical": identical,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options))
