"""LVIS's AP, for classes that were not looked for in every image (federated annotation).

What is known of a class differs from image to image: it is annotated there, or known to be absent, or nobody
looked. Detections count only where their class is annotated or known to be absent; where not every object of it is
annotated, those that match none are neither right nor wrong. Of an image the 300 best detections count.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from maskx_model.evaluation.coco_ap import APTable, average_precision
from maskx_model.evaluation.ground_truth import Truth
from maskx_model.evaluation.single_class_ap import IouType

if TYPE_CHECKING:
    from maskx_model.results.instances import Instances

DETECTIONS = 300
"""Detections of an image that count at most, of all classes together."""
SCORE_THRESHOLD = 1e-4
"""What is asked of a detector: so many classes share a score that the right one may have little of it."""
RARE, COMMON = 10, 100
"""A class is rare up to so many training images, common up to so many, and frequent above."""


def federated_average_precision(
    truths: Sequence[Truth], found: "Sequence[Instances]", iou_type: IouType, classes: Collection[int]
) -> APTable:
    """AP of `found[i]` against `truths[i]` for each of `classes` (positions in the vocabulary), as LVIS has it."""
    counted = [verified(truth, instances) for truth, instances in zip(truths, found, strict=True)]
    return average_precision(truths, counted, iou_type, classes, federated=True)


def verified(truth: Truth, instances: "Instances") -> "Instances":
    """The instances that count: of the best 300 those whose class is annotated or known to be absent there."""
    best = np.sort(np.argsort(-instances.scores, kind="stable")[:DETECTIONS])
    kept = best[np.isin(instances.labels[best], sorted(truth.verified))]
    masks = [instances.masks[i] for i in kept] if instances.masks else []
    return replace(
        instances,
        boxes=instances.boxes[kept],
        labels=instances.labels[kept],
        scores=instances.scores[kept],
        masks=masks,
    )


def annotated_classes(data: Dataset, source: str) -> dict[str, int]:
    """The source's class names → positions in the vocabulary, of all classes that it annotates and the vocabulary
    holds. Raises DataError where there are none."""
    labels = data.vocabulary.index(source)
    if not labels:
        raise DataError(f"{data.uri}: source {source!r} annotates no class of the vocabulary; choose another source")
    return labels


def frequency_bins(rows: Sequence[IndexRow], source: str, labels: Mapping[str, int]) -> dict[str, frozenset[int]]:
    """`rare`, `common` and `frequent` (LVIS's APr, APc, APf): the classes that `source` annotates in at most 10, at
    most 100, and more images of the split `train`. Empty where the dataset has no such image."""
    training = [row.classes.get(source, []) for row in rows if row.split == "train" and source in row.ids]
    if not training:
        return {}
    counts = Counter(label for names in training for label in {labels[name] for name in names if name in labels})
    classes = set(labels.values())
    rare = frozenset(c for c in classes if counts[c] <= RARE)
    common = frozenset(c for c in classes if RARE < counts[c] <= COMMON)
    return {"rare": rare, "common": common, "frequent": frozenset(classes - rare - common)}
