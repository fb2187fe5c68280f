"""Stage 1: boxes of every class."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from maskx_model.artifacts.origin import Origin
from maskx_model.config import Schedule
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.model.classification_loss import ClassificationLoss, choose_loss, softmax_loss
from maskx_model.model.compute import compile_backbone, resolve_device
from maskx_model.model.detector import build_detector
from maskx_model.model.roi_heads import MatchedRois
from maskx_model.presets import Preset
from maskx_model.training.batch import training_batch
from maskx_model.training.loop import Place, train
from maskx_model.training.step import Losses


def fit_detector(
    data: Dataset,
    preset: Preset,
    seed: int,
    device: str | None,
    folder: str,
    made_from: Origin,
    load: Callable[[], FasterRCNN] | None = None,
) -> tuple[FasterRCNN, bytes]:
    """A trained detector and the metric lines of its training; checkpoints go to `folder`.

    `load`: makes the detector to begin with; None for a new one with ImageNet weights.
    """
    torch.manual_seed(seed)
    schedule = preset.stage1
    detector = (load() if load else build_detector(preset.detector, len(data.vocabulary))).train()
    # Channels last is a fifth faster on CPUs, and what tensor cores want.
    detector.to(resolve_device(device), memory_format=torch.channels_last)
    compile_backbone(detector, schedule.compute)
    rows = data.select("train", preset.stage1_source)

    classify = choose_loss(preset.detector, rows, preset.stage1_source, data.vocabulary)

    def loss(batch: list[Sample]) -> Losses:
        return detector_losses(detector, batch, preset.detector.box_loss_weight, classify)

    reader = SampleReader(data, preset.stage1_source)
    place = Place(folder, made_from)
    metrics = train_on_photographs(detector, reader, rows, loss, schedule, seed, "stage 1", place)
    return detector, metrics


def train_on_photographs(
    module: nn.Module,
    reader: SampleReader,
    rows: Sequence[IndexRow],
    loss: Callable[[list[Sample]], Losses],
    schedule: Schedule,
    seed: int,
    title: str,
    place: Place,
) -> bytes:
    """`train` on those rows' images as the schedule asks for them, at its first learning rate."""
    samples = TrainingBatches(reader, rows, schedule.images_per_batch, seed, schedule.flip)
    device = next(module.parameters()).device

    def batches(start: int) -> Iterable[list[Sample]]:
        return load_batches(samples, range(start, schedule.steps), device)

    def keys(batch: list[Sample]) -> list[str]:
        return [sample.key for sample in batch]

    return train(module, batches, loss, schedule, schedule.learning_rates[0], seed, title, place, keys)


@dataclass(frozen=True)
class DetectorStep:
    """One forward of a detector in training: the images as the network sees them, their pyramid, the RoIs drawn,
    and the losses."""

    images: ImageList
    pyramid: dict[str, Tensor]
    sampled: MatchedRois
    losses: Losses


def detector_losses(
    detector: FasterRCNN,
    samples: Sequence[Sample],
    box_loss_weight: float,
    classification_loss: ClassificationLoss = softmax_loss,
) -> Losses:
    """torchvision's four losses of a detector in training mode; the two box-regression ones weighted, and classes
    learned by `classification_loss`.

    Raises DataError for samples that cannot be trained on.
    """
    return detector_step(detector, samples, box_loss_weight, classification_loss).losses


def detector_step(
    detector: FasterRCNN,
    samples: Sequence[Sample],
    box_loss_weight: float,
    classification_loss: ClassificationLoss = softmax_loss,
) -> DetectorStep:
    """As `detector_losses`, with what the losses were computed from."""
    images, targets = training_batch(detector, samples)
    pyramid = detector.backbone(images.tensors)
    proposals, rpn_losses = detector.rpn(images, pyramid, targets)
    sampled, box_losses = detector.roi_heads.training_step(
        pyramid, proposals, images.image_sizes, targets, classification_loss
    )
    weights = {"loss_box_reg": box_loss_weight, "loss_rpn_box_reg": box_loss_weight}
    losses = {name: weights.get(name, 1.0) * value for name, value in {**box_losses, **rpn_losses}.items()}
    return DetectorStep(images, pyramid, sampled, losses)
