"""How well a model's drawn detections match the objects of one image: what the report chooses its images by."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from data_prep.format.rle import coco_object
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.results.instances import Instances

MIN_SCORE = 0.5
MIN_IOU = 0.5
MOST_DRAWN = 10
FALLBACK = 3


def drawn(instances: Instances) -> Instances:
    """The instances that a panel shows: the ten best with a score of at least 0.5, or the three best if none has that.

    `instances` come by falling score.
    """
    confident = int((instances.scores >= MIN_SCORE).sum())
    last = min(confident, MOST_DRAWN) if confident else FALLBACK
    return Instances(instances.boxes[:last], instances.labels[:last], instances.scores[:last], instances.masks[:last])


@dataclass(frozen=True)
class Right:
    """A right detection: its label, its score, and the mask IoU with its object."""

    label: int
    score: float
    iou: float


@dataclass(frozen=True)
class Match:
    """The drawn detections of an image, matched to its `objects` (number of objects with a mask, crowds excluded).

    `right`: detections with a score of at least 0.5 and a mask IoU of at least 0.5 with an object of their class, each
    object matched once. `wrong`: the number of the others; `unjudged`: of those whose class is not evaluated, or not
    fully annotated in this image; `contrary`: of the unjudged ones whose mask is, by the same IoU, that of an object of
    another class. `best_ious`: for each object its label and the best mask IoU with a drawn detection of its class,
    whatever the score.
    """

    objects: int
    right: tuple[Right, ...]
    wrong: int
    unjudged: int
    contrary: int
    best_ious: tuple[tuple[int, float], ...]

    @property
    def quality(self) -> float:
        """0..1: the sum of score × IoU of the right detections, divided by their number, half of the missed objects and
        twice the wrong and contrary detections: a wrong name is seen at once, a missed object hardly."""
        missed = self.objects - len(self.right)
        together = len(self.right) + missed / 2 + 2 * (self.wrong + self.contrary)
        return sum(each.score * each.iou for each in self.right) / together if together else 0.0

    def mean_iou(self, excluding: Collection[int] = ()) -> float | None:
        """The mean over objects of `best_ious`, without objects of the classes `excluding`; None without any object."""
        ious = [iou for label, iou in self.best_ious if label not in excluding]
        return sum(ious) / len(ious) if ious else None


def match(ground_truth: GroundTruth, instances: Instances, evaluated: Collection[int]) -> Match:
    """Match the drawn ones of `instances` to the objects, the highest score first.

    Detections of classes that are not `evaluated`, or not annotated exhaustively in this image, are never wrong: they
    are unjudged.
    """
    shown = drawn(instances)
    pairs = list(zip(ground_truth.labels, ground_truth.objects, strict=True))
    objects = [(label, each.mask) for label, each in pairs if each.mask is not None and not each.iscrowd]
    labels = np.array([label for label, _ in objects], np.int64)
    of_any = np.zeros((len(shown.labels), len(objects)))
    if of_any.size:
        masks = [coco_object(mask) for mask in shown.masks]
        of_any = coco_mask.iou(masks, [coco_object(mask) for _, mask in objects], [0] * len(objects))
    ious = np.where(shown.labels[:, None] == labels, of_any, 0.0)
    on_another = (of_any - ious).max(axis=1, initial=0.0) >= MIN_IOU
    uncertain = ground_truth.not_exhaustive.union(label for label, each in pairs if each.iscrowd or each.mask is None)
    left, right, wrong, unjudged, contrary = set(range(len(objects))), [], 0, 0, 0
    for label, score, row, other in zip(shown.labels.tolist(), shown.scores.tolist(), ious, on_another, strict=True):
        best = max(left, key=row.__getitem__, default=None)
        if score >= MIN_SCORE and best is not None and row[best] >= MIN_IOU:
            left.remove(best)
            right.append(Right(label, score, float(row[best])))
        elif label in evaluated and label not in uncertain:
            wrong += 1
        else:
            unjudged += 1
            contrary += bool(other)
    best_ious = zip(labels.tolist(), ious.max(axis=0, initial=0.0).tolist(), strict=True)
    return Match(len(objects), tuple(right), wrong, unjudged, contrary, tuple(best_ious))
