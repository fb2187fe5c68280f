"""From samples to the inputs of a detector in training."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList

from maskx_model.data.input_checks import check_sample
from maskx_model.data.samples import Sample
from maskx_model.training.distributed import current_world


def detector_inputs(detector: FasterRCNN, samples: Sequence[Sample]) -> tuple[ImageList, list[dict[str, Tensor]]]:
    """The images scaled, normalized and padded on the detector's device, and for each its target: boxes xyxy
    float32 [N, 4] in the network's pixels, labels int64 [N], and the rest of `Sample.target`.

    Raises DataError for a sample that cannot be trained on (`check_sample`).
    """
    classes = detector.roi_heads.box_predictor.cls_score.out_features - 1
    for sample in samples:
        check_sample(sample, classes)
    device = next(detector.parameters()).device
    images = [sample.image_tensor(device) for sample in samples]
    targets = [{name: value.to(device) for name, value in sample.target().items()} for sample in samples]
    batch, scaled = detector.transform(images, targets)
    return _padded_alike(batch), scaled


def _padded_alike(batch: ImageList) -> ImageList:
    """The images padded as all ranks' images of this step would be together: the padding is part of what a network
    computes near an image's edge."""
    world = current_world()
    if world.size == 1:
        return batch
    height, width = batch.tensors.shape[-2:]
    most = world.greatest(torch.tensor([height, width], device=batch.tensors.device)).tolist()
    return ImageList(F.pad(batch.tensors, (0, most[1] - width, 0, most[0] - height)), batch.image_sizes)
