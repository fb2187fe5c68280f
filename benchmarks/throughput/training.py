"""A step of training: forward, losses, backward and SGD."""

from collections.abc import Callable, Iterator
from itertools import cycle

import torch
from torch import Tensor, nn

from benchmarks import mask_targets, train_step
from benchmarks.throughput.options import SHAPES, Options
from benchmarks.torchvisions import torchvisions_model
from benchmarks.way import Way
from maskx_model.data.samples import Sample
from maskx_model.model.compute import compile_backbone, in_precision_of
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.training.distributed import ALONE
from maskx_model.training.joint import measured_joint_losses
from maskx_model.training.step import make_step
from maskx_model.training.task import Losses, Measured


def training_step(way: Way, options: Options) -> tuple[nn.Module, Callable[[], object]]:
    """The model, and what trains it on the next batch."""
    shape = train_step.Options(
        options.min_size, options.max_size, proposals=options.proposals, rois=options.rois, device=options.device
    )
    ours = train_step.our_model(way, shape).to(options.device)
    following = cycle(batches(way, options))
    if way.model == "ours":
        ours.to(memory_format=torch.channels_last)
        compile_backbone(ours.detector, way.compute)
        return ours, _our_step(ours, way, options, following)
    theirs = torchvisions_model(ours, ours.detector.rpn.rpn.head).train()
    theirs.rpn = train_step.PlantedProposals(theirs.rpn, shape)
    return theirs, _torchvisions_step(theirs, way, options, following)


def batches(way: Way, options: Options) -> list[list[Sample]]:
    """Noise in images of all shapes; each batch begins with another."""
    shapes = [train_step.Options(height, width, images=1, objects=options.objects) for height, width in SHAPES]
    samples = [train_step.noise_samples(way, each)[0] for each in shapes]
    starts = range(len(samples))
    return [[samples[(start + number) % len(samples)] for number in range(options.images)] for start in starts]


def _our_step(model: MaskXRCNN, way: Way, options: Options, following: Iterator[list[Sample]]) -> Callable[[], object]:
    optimizer = _sgd(model)

    def losses() -> Measured:
        with in_precision_of(way.compute, options.device):
            return measured_joint_losses(model, next(following), box_loss_weight=1.0)

    return lambda: make_step(model, optimizer, [losses], train_step.LEARNING_RATE, None, ALONE)


def _torchvisions_step(
    model: nn.Module, way: Way, options: Options, following: Iterator[list[Sample]]
) -> Callable[[], object]:
    """As torchvision's reference script trains; its loader has made tensors of images and bitmaps of masks."""
    optimizer = _sgd(model)
    loaded: dict[str, tuple[Tensor, dict[str, Tensor]]] = {}

    def load(sample: Sample) -> tuple[Tensor, dict[str, Tensor]]:
        name = str(sample.image.shape)
        if name not in loaded:
            masks = mask_targets.bitmaps([mask for mask in sample.masks if mask])
            loaded[name] = sample.image_tensor(), {**sample.target(), "masks": masks}
        return loaded[name]

    def step() -> float:
        pairs = [load(sample) for sample in next(following)]
        images = [image.to(options.device) for image, _ in pairs]
        targets = [{name: value.to(options.device) for name, value in target.items()} for _, target in pairs]
        with in_precision_of(way.compute, options.device):
            losses: Losses = model(images, targets)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return total.item()

    return step


def _sgd(model: nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(parameters, train_step.LEARNING_RATE, momentum=0.9, weight_decay=1e-4)
