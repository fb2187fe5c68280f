"""One forward of a detector in training, and its losses."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList

from maskx_model.data.samples import Sample
from maskx_model.model.classification_loss import ClassificationLoss, softmax_loss
from maskx_model.model.roi_heads import MatchedRois
from maskx_model.training.detector_inputs import detector_inputs
from maskx_model.training.task import Losses, Measured


@dataclass(frozen=True)
class DetectorStep:
    """One forward of a detector in training: the network's input images, their pyramid, the sampled RoIs, the losses,
    and over how many RoIs or anchors each of them is the mean."""

    images: ImageList
    pyramid: dict[str, Tensor]
    sampled: MatchedRois
    losses: Losses
    counts: dict[str, int]

    @property
    def measured(self) -> Measured:
        """The losses with their counts."""
        return Measured(self.losses, self.counts)


def detector_step(
    detector: FasterRCNN,
    samples: Sequence[Sample],
    box_loss_weight: float,
    classification_loss: ClassificationLoss = softmax_loss,
) -> DetectorStep:
    """One forward, and torchvision's four losses of a detector in training mode; the two box-regression ones weighted,
    and classes learned by `classification_loss`.

    Raises DataError for samples that cannot be trained on.
    """
    images, targets = detector_inputs(detector, samples)
    pyramid = detector.backbone(images.tensors)
    proposals, rpn_losses, anchors = detector.rpn.training_step(images, pyramid, targets)
    sampled, box_losses = detector.roi_heads.training_step(
        pyramid, proposals, images.image_sizes, targets, classification_loss
    )
    weights = {"loss_box_reg": box_loss_weight, "loss_rpn_box_reg": box_loss_weight}
    losses = {name: weights.get(name, 1.0) * value for name, value in {**box_losses, **rpn_losses}.items()}
    counts = {**dict.fromkeys(box_losses, sum(map(len, sampled.rois))), **dict.fromkeys(rpn_losses, anchors)}
    return DetectorStep(images, pyramid, sampled, losses, counts)
