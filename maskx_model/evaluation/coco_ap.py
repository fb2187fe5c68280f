"""COCO's and LVIS's average precision (IoU 0.50:0.95) of boxes or masks, class by class, computed by hotcoco."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import hotcoco
import numpy as np
import numpy.typing as npt

from data_prep.format.records import Annotation
from data_prep.format.rle import coco_object

if TYPE_CHECKING:
    from maskx_model.evaluation.ground_truth import GroundTruth
    from maskx_model.results.instances import Instances

IouType = Literal["bbox", "segm"]
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
COCO_DETECTIONS, LVIS_DETECTIONS = 100, 300
"""The best detections that count: by COCO's protocol of each image and class, by LVIS's of each image."""
CLASSES_AT_ONCE = 250
"""Bounds the memory of hotcoco's curves: 8 MB for each of a few arrays."""


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
    ground_truth: Sequence["GroundTruth"],
    predictions: "Sequence[Instances]",
    iou_type: IouType,
    classes: Collection[int],
    federated: bool = False,
) -> APTable:
    """AP of `predictions[i]` against `ground_truth[i]`, as pycocotools has it, for each of `classes` (positions in the
    vocabulary).

    Sizes (small < 32² ≤ medium < 96² ≤ large, in square pixels) are those of the annotation's `area` and of the
    detection's box or, for masks, mask. Crowds are ignored: a detection on one is neither right nor wrong. So is, for
    masks, an object that its source gave no mask. AP is 0 where nothing is detected.

    `federated`: as LVIS computes it. A detection counts only in images where its class is annotated or known to be
    absent; one that matches no object is ignored where not every object of its class is annotated.
    """
    order = sorted(classes)
    values = np.full((len(order), len(METRICS)), np.nan)
    if order and any(image.objects for image in ground_truth):
        annotated = _ground_truth(ground_truth, predictions, iou_type, order)
        detections = _detections(annotated, _image_ids(ground_truth), predictions, iou_type)
        run = hotcoco.COCOeval(annotated, detections, iou_type, lvis_style=federated)
        run.params.max_dets = [LVIS_DETECTIONS if federated else COCO_DETECTIONS]
        for start in range(0, len(order), CLASSES_AT_ONCE):
            part = slice(start, start + CLASSES_AT_ONCE)
            run.params.cat_ids = order[part]
            run.evaluate()
            run.accumulate()
            assert run.eval is not None
            values[part] = _means(run.eval["precision"][..., 0])
    return APTable(tuple(order), values)


def _image_ids(ground_truth: Sequence["GroundTruth"]) -> npt.NDArray[np.int64]:
    """Small numbers in the order of the images' ids, int64 [N]: equal scores are ranked in that order."""
    return np.unique([image.image_id for image in ground_truth], return_inverse=True)[1]


def _ground_truth(
    ground_truth: Sequence["GroundTruth"], predictions: "Sequence[Instances]", iou_type: IouType, classes: Sequence[int]
) -> hotcoco.COCO:
    ids = _image_ids(ground_truth)
    objects = [each for image in ground_truth for each in image.objects]
    labels = [label for image in ground_truth for label in image.labels]
    detected = np.concatenate([each.labels for each in predictions]).tolist()
    images = [
        {"id": number, "height": image.height, "width": image.width}
        | {"neg_category_ids": sorted(image.negative), "not_exhaustive_category_ids": sorted(image.not_exhaustive)}
        for number, image in zip(ids.tolist(), ground_truth, strict=True)
    ]
    # A class outside `classes` is listed too: its detections count among the best of an image.
    categories = [{"id": c, "name": str(c), "frequency": "f"} for c in sorted({*classes, *labels, *detected})]
    masks = iou_type == "segm"
    return hotcoco.COCO.from_arrays(
        images,
        categories,
        np.repeat(ids, [len(image.objects) for image in ground_truth]),
        np.array(labels, np.int64),
        np.array([each.bbox for each in objects], np.float64),
        area=np.array([each.area for each in objects], np.float64),
        iscrowd=np.array([bool(each.iscrowd) or (masks and each.mask is None) for each in objects]),
        segmentation=[_segmentation(each) for each in objects] if masks else None,
    )


def _segmentation(thing: Annotation) -> dict[str, Any] | list[list[float]]:
    """The object's mask, or where it has none its box."""
    if thing.mask is not None:
        return coco_object(thing.mask)
    x, y, w, h = thing.bbox
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def _detections(
    annotated: hotcoco.COCO, ids: npt.NDArray[np.int64], predictions: "Sequence[Instances]", iou_type: IouType
) -> hotcoco.COCO:
    boxes = np.concatenate([each.boxes for each in predictions]).astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    images = np.repeat(ids, [len(each.labels) for each in predictions])
    scores, labels = (np.concatenate(each) for each in zip(*((f.scores, f.labels) for f in predictions), strict=True))
    rows = np.column_stack([images, boxes, scores, labels])
    if iou_type == "bbox" or not len(rows):
        return annotated.load_res(rows)
    masks = [coco_object(mask) for each in predictions for mask in each.masks]
    detections = annotated.load_res(rows, segmentation=[*masks])
    detections.update_anns(ids=np.arange(len(rows)) + 1, area=hotcoco.mask.area(masks))
    return detections


def _means(precision: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Precision [threshold, recall, class, size] in 0..1 (-1: no object) → METRICS of each class in percent points."""
    everything, *sizes = (np.moveaxis(precision[..., size], 2, 0) for size in range(precision.shape[-1]))
    columns = (everything, everything[:, 0], everything[:, 5], *sizes)
    means = np.stack([each.reshape(len(each), -1).mean(axis=1) for each in columns], axis=1)
    return np.where(means < 0, np.nan, means * 100)
