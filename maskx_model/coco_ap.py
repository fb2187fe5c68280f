"""COCO's average precision (0.50:0.95) of boxes or masks, class by class, from records and instances."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from data_prep.format.records import Annotation, Record, Rle

if TYPE_CHECKING:
    from maskx_model.inference import Instances

IouType = Literal["bbox", "segm"]
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


@dataclass(frozen=True)
class Truth:
    """What is known to be in one photograph: the objects of the evaluated classes, `labels[i]` of `objects[i]`.

    `labels` are positions in the vocabulary. Crowds are among the objects: what lies on one is neither right nor wrong.
    """

    image_id: int
    height: int
    width: int
    labels: tuple[int, ...]
    objects: tuple[Annotation, ...]

    @classmethod
    def of(cls, record: Record, source: str, labels: Mapping[str, int]) -> "Truth":
        """The objects of `source` whose class name is a key of `labels` (the source's name → position)."""
        objects = tuple(o for o in record.objects.get(source, []) if o.category in labels)
        numbers = tuple(labels[o.category] for o in objects)
        return cls(record.ids[source], record.height, record.width, numbers, objects)


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
    truths: Sequence[Truth], found: "Sequence[Instances]", iou_type: IouType, classes: Collection[int]
) -> APTable:
    """AP of `found[i]` against `truths[i]` for each of `classes` (positions in the vocabulary), as pycocotools has it.

    At most 100 instances of a class and photograph count. Sizes (small < 32² ≤ medium < 96² ≤ large, in square pixels)
    are those of the annotation's `area` and of the instance's box or, for masks, mask. For masks, an object that its
    source gave no mask is ignored like a crowd that fills its box. Where nothing is found AP is 0.
    """
    order = tuple(sorted(classes))
    if not order:
        return APTable((), np.empty((0, len(METRICS))))
    truth = COCO(_document(truths, iou_type, order))
    run = COCOeval_faster(truth, truth.loadRes(_results(truths, found, iou_type, set(order))), iou_type)
    run.evaluate()
    run.accumulate()
    return APTable(order, _by_class(run.eval["precision"]))


def _by_class(precision: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From precision[threshold, recall, class, area, limit] (-1: no object) to percent points [class, metric]."""
    best = precision[..., -1]
    columns = [best[:, :, :, 0], best[:1, :, :, 0], best[5:6, :, :, 0], *(best[:, :, :, area] for area in (1, 2, 3))]
    means = np.stack([column.mean(axis=(0, 1)) for column in columns], axis=1)
    return np.where(means < 0, np.nan, means * 100)


def _document(truths: Sequence[Truth], iou_type: IouType, classes: tuple[int, ...]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for truth in truths:
        for label, thing in zip(truth.labels, truth.objects, strict=True):
            entry: dict[str, Any] = {"id": len(annotations) + 1, "image_id": truth.image_id, "category_id": label + 1}
            entry |= {"bbox": list(thing.bbox), "area": thing.area, "iscrowd": thing.iscrowd}
            if iou_type == "segm":
                entry |= _mask_of(thing)
            annotations.append(entry)
    return {
        "images": [{"id": t.image_id, "height": t.height, "width": t.width} for t in truths],
        "categories": [{"id": position + 1} for position in classes],
        "annotations": annotations,
    }


def _mask_of(thing: Annotation) -> dict[str, Any]:
    if thing.mask is not None:
        return {"segmentation": _rle(thing.mask)}
    x, y, w, h = thing.bbox
    return {"segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]], "iscrowd": 1}


def _rle(mask: Rle) -> dict[str, Any]:
    return {"size": list(mask.size), "counts": mask.counts}


def _results(
    truths: Sequence[Truth], found: "Sequence[Instances]", iou_type: IouType, classes: set[int]
) -> list[dict[str, Any]]:
    results = []
    for truth, instances in zip(truths, found, strict=True):
        corners = instances.boxes.astype(np.float64)
        for i, label in enumerate(instances.labels.tolist()):
            if label not in classes:
                continue
            entry = {"image_id": truth.image_id, "category_id": label + 1, "score": float(instances.scores[i])}
            if iou_type == "segm":
                entry["segmentation"] = _rle(instances.masks[i])
            else:
                x1, y1, x2, y2 = corners[i].tolist()
                entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            results.append(entry)
    return results
