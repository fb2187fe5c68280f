"""Checks of a model's predictions before they are measured: NaN would distort AP."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from data_prep.storage.errors import DataError

if TYPE_CHECKING:
    from maskx_model.evaluation.ground_truth import GroundTruth
    from maskx_model.results.instances import Instances


def check_instances(
    ground_truth: "Sequence[GroundTruth]", predictions: "Sequence[Instances]", classes: int, what: str
) -> None:
    """Raises DataError, which names image and instance, where a box or score is not finite, a box ends before it
    begins, a label is none of the vocabulary's `classes`, or a mask has another size than its image.

    `what` says whose instances they are. An image without instances is fine.
    """
    for image, instances in zip(ground_truth, predictions, strict=True):
        if (wrong := _first_wrong(image, instances, classes)) is not None:
            number, problem = wrong
            raise DataError(
                f"image {image.image_id}, instance {number} of {what}: {problem}; AP is not defined on it. Check the "
                "model's weights, or what the predictions were read from"
            )


def _first_wrong(image: "GroundTruth", instances: "Instances", classes: int) -> tuple[int, str] | None:
    boxes, labels, scores = instances.boxes, instances.labels, instances.scores
    if not len(boxes) == len(labels) == len(scores) or (instances.masks and len(instances.masks) != len(boxes)):
        counts = f"{len(boxes)} boxes, {len(labels)} labels, {len(scores)} scores, {len(instances.masks)} masks"
        return 0, f"there are {counts}"
    rules = {
        "a box that is not finite": ~np.isfinite(boxes).all(axis=1),
        "a box that ends before it begins": (boxes[:, 2:] < boxes[:, :2]).any(axis=1),
        "a score that is not finite": ~np.isfinite(scores),
        f"a label outside the vocabulary's {classes} classes": (labels < 0) | (labels >= classes),
    }
    for problem, broken in rules.items():
        if broken.any():
            return int(broken.argmax()), problem
    for number, mask in enumerate(instances.masks):
        if tuple(mask.size) != (image.height, image.width):
            return number, f"a mask of {mask.size[0]}×{mask.size[1]} pixels, not {image.height}×{image.width}"
    return None
