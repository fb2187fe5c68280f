"""End to end: boxes of all classes and masks of A train detector and mask branch at once (§3.2, Table 1d, Table 2)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torchvision.models.detection import FasterRCNN

from data_prep.format.reader import Dataset
from maskx_model.artifacts.model_folder import LoadedModel
from maskx_model.config import ModelConfig
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.data.training_images import training_images
from maskx_model.model.classification_loss import ClassificationLoss, choose_loss, softmax_loss
from maskx_model.model.compute import compile_backbone
from maskx_model.model.detector import build_detector
from maskx_model.model.mask_branch import mask_roi_pool
from maskx_model.model.mask_loss import mask_loss
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.run_config import RunConfig
from maskx_model.training.crops import learn_crops
from maskx_model.training.detector_step import detector_step
from maskx_model.training.roi_sampling import mask_weights, rois_with_masks
from maskx_model.training.session import Session
from maskx_model.training.stage2 import made_masks, rows_with_masks
from maskx_model.training.task import Measured
from maskx_model.training.train_on_images import train_on_images


def fit_joint(
    data: Dataset,
    start: LoadedModel | None,
    config: ModelConfig,
    classes: tuple[int, ...],
    preset: RunConfig,
    seed: int,
    device: str,
    session: Session,
    word_vectors: npt.NDArray[np.float32] | None = None,
) -> tuple[MaskXRCNN, bytes]:
    """A whole model trained on the boxes of every class and the masks of `classes` (A, 0-based positions), and the
    metric lines of its training.

    `start`: a trained detector to continue; None begins with ImageNet weights, or with what the preset's crops teach
    random ones. `word_vectors`, [K + 1, E]: for T's input `embedding`. Raises DataError if no training
    image shows a class of A.
    """
    made = made_masks(preset.stage2)
    reader = SampleReader(data, preset.stage2_source, frozenset(classes), made=made)
    rows_with_masks(data, preset.stage2_source, reader, classes)  # there must be one; boxes are learned from all
    rows = training_images(data, preset.stage2_source)
    torch.manual_seed(seed)
    count = len(data.vocabulary)
    detector = build_detector(config.detector, count) if start is None else start.model
    assert isinstance(detector, FasterRCNN)
    model = MaskXRCNN(config, count, detector).train()
    if word_vectors is not None:
        model.word_vectors = torch.from_numpy(word_vectors)
    model.to(device).to(memory_format=torch.channels_last)
    compile_backbone(detector, preset.joint.compute)
    classify = choose_loss(config.detector, rows, preset.stage2_source, data.vocabulary)

    def loss(batch: list[Sample]) -> Measured:
        return measured_joint_losses(model, batch, config.detector.box_loss_weight, classify)

    if start is None:
        learn_crops(detector, reader, rows, preset.crops, seed, session)
    metrics = train_on_images(model, detector, reader, rows, loss, preset.joint, seed, "joint", session)
    return model.eval(), metrics


def measured_joint_losses(
    model: MaskXRCNN,
    samples: Sequence[Sample],
    box_loss_weight: float,
    classification_loss: ClassificationLoss = softmax_loss,
) -> Measured:
    """The detector's losses, the mask loss on those of the same RoIs that are positive with a mask, and over how many
    each of them is the mean.

    Everything is from one forward, and no RoI is drawn twice. The mask loss trains the backbone; it reaches w_det, the
    rows of the batch's labels, only where the configuration turns `stop_gradient` off. Without a positive of A it is 0
    with a graph. Raises DataError for samples that cannot be trained on.
    """
    detector = model.detector
    step = detector_step(detector, samples, box_loss_weight, classification_loss)
    sizes = step.images.image_sizes
    rois, labels, targets, objects = rois_with_masks(samples, step.sampled, sizes)
    logits = model.mask_logits(mask_roi_pool(detector)(step.pyramid, rois, sizes), labels)
    losses = {**step.losses, "loss_mask": mask_loss(logits, targets, mask_weights(samples, targets)[objects])}
    return Measured(losses, {**step.counts, "loss_mask": len(logits)})
