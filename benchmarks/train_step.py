"""A whole training step end to end, T on, against torchvision's Mask R-CNN with the same weights, targets and draws.

Both are a ResNet-50-FPN with frozen batch norm and a frozen stem, as torchvision's `maskrcnn_resnet50_fpn` is around
its ImageNet weights; torchvision's holds T's predicted weights as the rows of its last mask layer. Weights are random,
so the proposals are planted: around the objects, as a detector finds them that has learned, so that a quarter of the
RoIs are positives. The RPN runs all the same. Each measurement is a process of its own, and the ways take turns.
"""

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from benchmarks import mask_targets
from benchmarks.costs import Cost, cost, show
from benchmarks.settings import print_settings
from benchmarks.torchvisions import torchvisions_model
from benchmarks.way import Way
from maskx_model.config import DetectorConfig, MaskConfig, ModelConfig
from maskx_model.data.samples import Sample
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.model.rpn import CrowdAwareRPN
from maskx_model.training.joint import measured_joint_losses
from maskx_model.training.task import Losses

LEARNING_RATE = 1e-9
"""Random weights must not run away from a step to the next."""


@dataclass(frozen=True)
class Options:
    """Images of `height` × `width` with `objects` each; `classes` with the background, the first for the
    comparison, the second for what more classes cost; `rounds` of all ways, `steps` in each."""

    height: int = 480
    width: int = 640
    images: int = 2
    objects: int = 10
    proposals: int = 2000
    near: float = 0.3
    """Fraction of the proposals around objects."""
    rois: int = 512
    classes: tuple[int, int] = (81, 3001)
    mlp: bool = True
    """Measure the MLP branches, too."""
    rounds: int = 2
    steps: int = 1
    device: str = "cpu"


def noise_samples(way: Way, options: Options) -> list[Sample]:
    """Noise with objects of all sizes and classes."""
    samples = []
    for number in range(options.images):
        rng = np.random.default_rng(number)
        shape = mask_targets.Options(options.height, options.width, options.objects, options.objects)
        masks, boxes, _ = mask_targets.masks_and_rois(shape, seed=number)
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 4)
        image = rng.integers(0, 256, (options.height, options.width, 3)).astype(np.uint8)
        labels = torch.from_numpy(rng.integers(1, way.classes, options.objects))
        samples.append(Sample(f"noise-{number}", image, boxes, labels, tuple(masks)))
    return samples


class PlantedProposals(nn.Module):
    """An RPN that does all its work, and then returns proposals as a trained one would."""

    def __init__(self, rpn: nn.Module, options: Options) -> None:
        super().__init__()
        self.rpn = rpn
        self.options = options

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], Losses]:
        """The planted proposals xyxy [P, 4] of each image, and the RPN's losses."""
        _, losses = self.rpn(images, features, targets)
        return self._all_planted(images, targets), losses

    def training_step(
        self, images: ImageList, features: dict[str, Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], Losses, int]:
        """As `forward`, with the number of anchors that the losses are means over: what ours is called for."""
        assert isinstance(self.rpn, CrowdAwareRPN)
        _, losses, anchors = self.rpn.training_step(images, features, targets)
        return self._all_planted(images, targets), losses, anchors

    def _all_planted(self, images: ImageList, targets: list[dict[str, Tensor]]) -> list[Tensor]:
        return [self._planted(t["boxes"], size) for t, size in zip(targets, images.image_sizes, strict=True)]

    def _planted(self, boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Proposals in an image of that height and width."""
        height, width = image_size
        generator = torch.Generator().manual_seed(0)
        near = int(self.options.near * self.options.proposals)
        objects = boxes.cpu()[torch.arange(near) % len(boxes)]
        sides = (objects[:, 2:] - objects[:, :2]).repeat(1, 2)
        around = objects + 0.1 * sides * torch.randn(near, 4, generator=generator)
        corner = torch.rand(self.options.proposals - near, 2, generator=generator) * height * 0.8
        size = height / 30 * (1 + 3 * torch.rand(corner.shape, generator=generator))
        everywhere = torch.cat([corner, corner + size], dim=1)
        limit = torch.tensor([width, height] * 2)
        return torch.cat([around, everywhere]).clamp(min=0).minimum(limit).to(boxes)


def our_model(way: Way, options: Options) -> MaskXRCNN:
    """Mask^X R-CNN from a fixed seed; the detector does not depend on the mask branch."""
    short, long = sorted((options.height, options.width))
    config = DetectorConfig(weights=None, min_size=short, max_size=long, rois_per_image=options.rois)
    torch.manual_seed(0)
    model = MaskXRCNN(ModelConfig(config, MaskConfig(mlp=way.mlp)), way.classes - 1)
    model.detector.rpn = PlantedProposals(model.detector.rpn, options)
    return model.train()


def our_losses(way: Way, options: Options) -> tuple[nn.Module, Callable[[], Losses]]:
    """Our model as it is trained, and its five losses."""
    model, samples = our_model(way, options), noise_samples(way, options)
    model.to(options.device).to(memory_format=torch.channels_last)
    return model, lambda: measured_joint_losses(model, samples, box_loss_weight=1.0).losses


def torchvisions_losses(way: Way, options: Options) -> tuple[nn.Module, Callable[[], Losses]]:
    """torchvision's model as its reference script trains it, and its five losses; masks have been decoded."""
    ours = our_model(way, options)
    model = torchvisions_model(ours, ours.detector.rpn.rpn.head).to(options.device).train()
    model.rpn = PlantedProposals(model.rpn, options)
    samples = noise_samples(way, options)
    images = [sample.image_tensor() for sample in samples]
    masks = [mask_targets.bitmaps([mask for mask in sample.masks if mask]) for sample in samples]
    targets = [{**sample.target(), "masks": each} for sample, each in zip(samples, masks, strict=True)]

    def losses() -> Losses:
        on_device = [{name: value.to(options.device) for name, value in target.items()} for target in targets]
        found: Losses = model([image.to(options.device) for image in images], on_device)
        return found

    return model, losses


LOSSES = {"torchvision": torchvisions_losses, "ours": our_losses}


def training_step(way: Way, options: Options) -> Callable[[], dict[str, float]]:
    """Forward, losses, backward and SGD; returns the losses. The first call builds the model, so that its memory is
    counted."""
    built: list[tuple[Callable[[], Losses], torch.optim.Optimizer]] = []

    def step() -> dict[str, float]:
        if not built:
            model, losses_of = LOSSES[way.model](way, options)
            parameters = [p for p in model.parameters() if p.requires_grad]
            built.append((losses_of, torch.optim.SGD(parameters, LEARNING_RATE, momentum=0.9, weight_decay=1e-4)))
        losses_of, optimizer = built[0]
        torch.manual_seed(1)
        losses = losses_of()
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        return {name: value.item() for name, value in losses.items()}

    return step


def measured(ways: list[Way], options: Options) -> dict[Way, Cost]:
    """What a step costs in each way: the medians of the rounds' times, the largest memory."""
    rounds: dict[Way, list[Cost]] = {way: [] for way in ways}
    for number in range(options.rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            rounds[way].append(cost(partial(training_step, way, options), options.steps, options.device))
    return {
        way: Cost(
            statistics.median(c.milliseconds for c in costs),
            max(c.megabytes for c in costs),
            statistics.median(c.cpu_milliseconds for c in costs),
        )
        for way, costs in rounds.items()
    }


def same_losses(options: Options) -> bool:
    """Whether all five losses agree, on small images."""
    small = replace(options, height=128, width=160, objects=min(options.objects, 4), rois=min(options.rois, 64))
    ours, theirs = (training_step(Way(model, options.classes[0]), small)() for model in ("ours", "torchvision"))
    return ours.keys() == theirs.keys() and all(
        bool(np.isclose(value, theirs[name], rtol=1e-4, atol=1e-5)) for name, value in ours.items()
    )


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    few, many = options.classes
    theirs, ours, theirs_many, ours_many = (
        Way(model, classes) for classes in (few, many) for model in ("torchvision", "ours")
    )
    with_mlp = [Way("ours", few, "light"), Way("ours", few, "paper")] if options.mlp else []
    found = measured([theirs, ours, theirs_many, ours_many, *with_mlp], options)
    show({str(way): each for way, each in found.items()})
    our_extra = found[ours_many].megabytes - found[ours].megabytes
    their_extra = found[theirs_many].megabytes - found[theirs].megabytes
    report = {
        "ratio": round(found[theirs].milliseconds / found[ours].milliseconds, 3),
        "time_against_torchvision": round(found[ours].milliseconds / found[theirs].milliseconds, 3),
        "cpu_time_against_torchvision": round(found[ours].cpu_milliseconds / found[theirs].cpu_milliseconds, 3),
        "memory_against_torchvision": round(found[ours].megabytes / found[theirs].megabytes, 3),
        "many_classes_time": round(found[ours_many].milliseconds / found[ours].milliseconds, 3),
        "many_classes_extra_memory_against_torchvision": round(our_extra / max(their_extra, 1.0), 3),
        **{f"{way.mlp}_mlp_time": round(found[way].milliseconds / found[ours].milliseconds, 3) for way in with_mlp},
        **{f"{way.mlp}_mlp_mb": round(found[way].megabytes - found[ours].megabytes) for way in with_mlp},
        "identical": same_losses(options),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options))
