"""Stage 1: boxes of every class."""

from collections.abc import Iterable

import torch
from torch.utils.data import DataLoader
from torchvision.models.detection import FasterRCNN

from data_prep.format.reader import Dataset
from maskx_model.checkpoint import Origin
from maskx_model.dataset import Reader, Sample, TrainingBatches
from maskx_model.detector import build_detector
from maskx_model.device import resolve_device
from maskx_model.presets import Preset
from maskx_model.training import Losses, Place, train


def fit_detector(
    data: Dataset, preset: Preset, seed: int, device: str | None, folder: str, made_from: Origin
) -> tuple[FasterRCNN, bytes]:
    """A trained detector and the metric lines of its training; checkpoints go to `folder`."""
    torch.manual_seed(seed)
    schedule = preset.stage1
    detector = build_detector(preset.detector, len(data.vocabulary)).train()
    # Channels last is a fifth faster on processors, and what tensor cores want.
    detector.to(resolve_device(device), memory_format=torch.channels_last)
    rows = data.select("train", preset.stage1_source)
    samples = TrainingBatches(Reader(data, preset.stage1_source), rows, schedule.images_per_batch, seed, schedule.flip)

    def batches(start: int) -> Iterable[list[Sample]]:
        return DataLoader(samples, batch_size=None, sampler=range(start, schedule.steps))

    def loss(batch: list[Sample]) -> Losses:
        return detector_losses(detector, batch, preset.detector.box_loss_weight)

    metrics = train(
        detector, batches, loss, schedule, schedule.learning_rates[0], seed, "stage 1", Place(folder, made_from)
    )
    return detector, metrics


def detector_losses(detector: FasterRCNN, batch: list[Sample], box_loss_weight: float) -> Losses:
    """torchvision's four losses of a detector in training mode; the two box-regression ones weighted."""
    device = next(detector.parameters()).device
    images = [sample.image_tensor().to(device) for sample in batch]
    targets = [{name: value.to(device) for name, value in sample.target().items()} for sample in batch]
    losses: Losses = detector(images, targets)
    weights = {"loss_box_reg": box_loss_weight, "loss_rpn_box_reg": box_loss_weight}
    return {name: weights.get(name, 1.0) * value for name, value in losses.items()}
