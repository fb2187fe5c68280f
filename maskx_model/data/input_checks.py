"""Samples and features that training refuses; the error names the image by its key.

Valid input, though nothing is learned from it: images without objects, objects without masks, crowds, batches
without a class of A, RoIs without a positive. Their losses are 0 with a graph, and the step counts.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data_prep.storage.errors import DataError
from maskx_model.data.samples import Sample
from maskx_model.model.crowds import CROWD_LABEL
from maskx_model.model.input_checks import first_true


def check_sample(sample: Sample, classes: int) -> None:
    """Raises DataError, naming the image, for pixels that are not bytes (so none is NaN), lists of other lengths,
    boxes that are not finite or have no area, and labels that the detector's `classes` foreground classes lack.

    `SampleReader` excludes empty boxes, so what is refused here did not come from a prepared dataset, or was prepared
    for another model.
    """
    image, count = sample.image, len(sample.labels)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(f"{sample.key}: an image of {image.dtype} {list(image.shape)}; uint8 [H, W, 3] is needed")
    if sample.boxes.shape != (count, 4) or len(sample.masks) != count:
        raise DataError(
            f"{sample.key}: boxes {list(sample.boxes.shape)}, {count} labels, {len(sample.masks)} masks; "
            "each object needs one of each"
        )
    empty = ~((sample.boxes[:, 2:] > sample.boxes[:, :2]).all(1) & torch.isfinite(sample.boxes).all(1))
    if (position := first_true(empty)) is not None:
        box = sample.boxes[position].tolist()
        raise DataError(f"{sample.key}: object {position} has the box {box}; numbers with x1 < x2, y1 < y2 are needed")
    unknown = (sample.labels != CROWD_LABEL) & ((sample.labels < 1) | (sample.labels > classes))
    if (position := first_true(unknown)) is not None:
        raise DataError(
            f"{sample.key}: object {position} has label {int(sample.labels[position])}, but the model has weights of "
            f"{classes} classes; train on the dataset whose vocabulary it was made for"
        )


def check_features(features: Tensor, samples: Sequence[Sample]) -> None:
    """Raises DataError, naming the images, for RoI features of a frozen detector that are not finite."""
    if not torch.isfinite(features).all():
        raise DataError(
            f"{', '.join(sample.key for sample in samples)}: the detector's RoI features are not finite "
            f"({str(features.dtype).removeprefix('torch.')}); it has diverged, train it again"
        )
