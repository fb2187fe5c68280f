"""From an image to instances with masks over the whole image: what production, evaluation and benchmarks call."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from data_prep.format.records import Rle
from maskx_model.data.samples import to_tensor
from maskx_model.masks.pasting import paste
from maskx_model.model.maskx_rcnn import Encoded, MaskXRCNN
from maskx_model.results.instances import Instances


def predict(model: MaskXRCNN, image: npt.NDArray[np.uint8]) -> Instances:
    """Detects and segments all objects of one image, uint8 RGB [H, W, 3].

    One image at a time: in a batch, images are padded to a common size, and the result for an image would depend on
    its neighbors.
    """
    encoded = model.encode([to_tensor(image, next(model.parameters()).device)])
    return segment_boxes(model, encoded, model.detect(encoded)[0])


def predict_batch(model: MaskXRCNN, images: Sequence[npt.NDArray[np.uint8]]) -> list[Instances]:
    """Detects and segments all objects of images of one size, uint8 RGB [H, W, 3] each, at a time: none is padded."""
    device = next(model.parameters()).device
    encoded = model.encode([to_tensor(image, device) for image in images])
    detected = model.detect(encoded)
    masks = model.segment(encoded, [each["boxes"] for each in detected], [each["labels"] for each in detected])
    return [
        to_instances(each, paste(own, each["boxes"], size))
        for each, own, size in zip(detected, masks, encoded.original_sizes, strict=True)
    ]


def segment_boxes(model: MaskXRCNN, encoded: Encoded, detected: Mapping[str, Tensor]) -> Instances:
    """Segments the boxes of one encoded image, detections or ground truth.

    `detected`: `boxes` xyxy float32 [N, 4] in the image's pixels, `labels` int64 [N] (1-based), `scores` float32 [N].
    Raises DataError for a box that is not finite or an unknown label.
    """
    masks, _ = masks_in_boxes(model, encoded, detected["boxes"], detected["labels"])
    return to_instances(detected, masks)


def masks_in_boxes(model: MaskXRCNN, encoded: Encoded, boxes: Tensor, labels: Tensor) -> tuple[list[Rle], Tensor]:
    """Masks of boxes, xyxy float32 [N, 4] in the image's pixels, as objects of `labels`, int64 [N] (1-based), of one
    encoded image; and the probabilities that they come from, float32 [N, 28, 28]. Raises as `segment_boxes`."""
    (probabilities,) = model.segment(encoded, [boxes], [labels])
    return paste(probabilities, boxes, encoded.original_sizes[0]), probabilities


def to_instances(detected: Mapping[str, Tensor], masks: list[Rle]) -> Instances:
    """Converts detections of one image on any device (see `segment_boxes`) and their masks to `Instances`."""
    return Instances(
        boxes=detected["boxes"].cpu().numpy(),
        labels=detected["labels"].cpu().numpy() - 1,
        scores=detected["scores"].cpu().numpy(),
        masks=masks,
    )
