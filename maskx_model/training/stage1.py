"""Stage 1: boxes of every class."""

from collections.abc import Callable

import torch
from torchvision.models.detection import FasterRCNN

from data_prep.format.reader import Dataset
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.data.training_images import training_images
from maskx_model.model.classification_loss import choose_loss
from maskx_model.model.compute import compile_backbone
from maskx_model.model.detector import build_detector
from maskx_model.run_config import RunConfig
from maskx_model.training.crops import learn_crops
from maskx_model.training.detector_step import detector_step
from maskx_model.training.session import Session
from maskx_model.training.task import Measured
from maskx_model.training.train_on_images import train_on_images


def fit_detector(
    data: Dataset,
    preset: RunConfig,
    seed: int,
    device: str,
    session: Session,
    load: Callable[[], FasterRCNN] | None = None,
) -> tuple[FasterRCNN, bytes]:
    """A trained detector and the metric lines of its training.

    `load`: makes the detector to begin with; None for a new one with ImageNet weights, or what the preset's crops teach
    it. Raises DataError where the training images have nothing to learn from.
    """
    rows = training_images(data, preset.stage1_source)
    torch.manual_seed(seed)
    schedule = preset.stage1
    detector = (load() if load else build_detector(preset.detector, len(data.vocabulary))).train()
    # Channels last is a fifth faster on CPUs, and what tensor cores want.
    detector.to(device, memory_format=torch.channels_last)
    compile_backbone(detector, schedule.compute)
    classify = choose_loss(preset.detector, rows, preset.stage1_source, data.vocabulary)

    def loss(batch: list[Sample]) -> Measured:
        return detector_step(detector, batch, preset.detector.box_loss_weight, classify).measured

    reader = SampleReader(data, preset.stage1_source)
    if load is None:
        learn_crops(detector, reader, rows, preset.crops, seed, session)
    metrics = train_on_images(detector, detector, reader, rows, loss, schedule, seed, "stage1", session)
    return detector, metrics
