"""COCO's average precision (0.50:0.95) of boxes or masks, class by class, from records and instances."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from maskx_model.evaluation.ground_truth import Truth
from maskx_model.evaluation.single_class_ap import METRICS, ClassDocument, IouType

if TYPE_CHECKING:
    from maskx_model.results.instances import Instances


@dataclass(frozen=True)
class APTable:
    """AP per class: `values` is float64[K, 6] in percent points (0–100), its columns are METRICS.

    NaN stands where a class has no object (of that size): such a class takes no part in a mean.
    """

    classes: tuple[int, ...]
    values: npt.NDArray[np.float64]

    def mean(self, classes: Collection[int] | None = None) -> dict[str, float | None]:
        """Each metric's mean over `classes` (positions; all where None); None where none of them has an object."""
        rows = [i for i, position in enumerate(self.classes) if classes is None or position in classes]
        return {
            metric: float(np.nanmean(column)) if np.isfinite(column).any() else None
            for metric, column in zip(METRICS, self.values[rows].T, strict=True)
        }

    def by_class(self) -> dict[int, float | None]:
        """AP of each class, by position; None where it has no object."""
        column = self.values[:, 0].tolist()
        return {c: None if np.isnan(ap) else ap for c, ap in zip(self.classes, column, strict=True)}


def average_precision(
    truths: Sequence[Truth],
    found: "Sequence[Instances]",
    iou_type: IouType,
    classes: Collection[int],
    federated: bool = False,
) -> APTable:
    """AP of `found[i]` against `truths[i]` for each of `classes` (positions in the vocabulary), as pycocotools has it.

    At most 100 instances of a class and image count. Sizes (small < 32² ≤ medium < 96² ≤ large, in square pixels)
    are those of the annotation's `area` and of the instance's box or, for masks, mask. For masks, an object that its
    source gave no mask is ignored like a crowd that fills its box. Where nothing is found AP is 0. `federated`: only
    detections of verified classes count, as `federated_ap` says.

    Each class is measured for itself, on the images in which it is or was found: no other image has a part
    in its AP, and time and memory grow with objects and instances, not with classes times images.
    """
    order = tuple(sorted(classes))
    values = np.full((len(order), len(METRICS)), np.nan)
    objects = _Places.of([truth.labels for truth in truths])
    instances = _Places.of([each.labels for each in found])
    for row, label in enumerate(order):
        if there := objects.at(label):
            document = ClassDocument(iou_type, label, federated)
            for photograph, number in there:
                document.add_object(truths[photograph], number)
            for photograph, number in instances.at(label):
                document.add_instance(truths[photograph], found[photograph], number)
            values[row] = document.average_precision()
    return APTable(order, values)


@dataclass(frozen=True)
class _Places:
    """Where the classes are: int64 [N] each, sorted by `label`, in the order of images within one."""

    label: npt.NDArray[np.int64]
    photograph: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: "Sequence[Sequence[int] | npt.NDArray[np.int64]]") -> "_Places":
        """`labels[i][j]` is the class of number j in image i."""
        counts = [len(each) for each in labels]
        everything = np.concatenate([np.asarray(each, np.int64) for each in labels] or [np.empty(0, np.int64)])
        order = np.argsort(everything, kind="stable")
        number = np.concatenate([np.arange(count) for count in counts] or [np.empty(0, np.int64)])
        return cls(everything[order], np.repeat(np.arange(len(counts)), counts)[order], number[order])

    def at(self, label: int) -> list[tuple[int, int]]:
        """(image, number in it) of all that are of that class."""
        first, last = np.searchsorted(self.label, [label, label + 1])
        return list(zip(self.photograph[first:last].tolist(), self.number[first:last].tolist(), strict=True))
