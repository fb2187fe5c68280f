"""Another source of masks, a promptable segmenter's for example, beside T: whose masks to trust, class by class.

A teacher's masks are a source of the dataset (`teacher=coco:masks.json,images`), on the same images and boxes as the
ground truth. Both sides are given the boxes: the teacher's masks as they are, T's on ground-truth boxes of classes that
were held out of its training.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np

from data_prep.format.records import Annotation, Record
from data_prep.storage.errors import DataError
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.results.instances import Instances
from maskx_model.study.heads import mask_ap
from maskx_model.study.rows import ClassAP, Row


class TeacherFold(msgspec.Struct, frozen=True):
    """A fold's classes, and the mean mask AP on their ground-truth boxes, 0-100: of T, which never saw masks of them,
    and of the teacher."""

    classes: tuple[str, ...]
    transfer: float
    teacher: float

    @property
    def trusted(self) -> str:
        """Whose masks are better: `T` or `teacher`."""
        return "teacher" if self.teacher > self.transfer else "T"


def teacher_ap(
    records: Sequence[Record],
    ground_truth: Sequence[GroundTruth],
    source: str,
    labels: Mapping[str, int],
    classes: Sequence[int],
) -> ClassAP:
    """Mask AP of the source's masks against the ground truth of the same images, of each of those classes.

    `labels`: the source's class names → positions in the vocabulary. An object without a mask counts as missed. Raises
    DataError if the source has no mask on any of the images.
    """
    predictions = [_instances(record.objects.get(source, []), labels) for record in records]
    if not any(each.masks for each in predictions):
        raise DataError(
            f"source {source!r} has no mask on the measured images; prepare it with the same images as the ground "
            f"truth ({source}@val=coco:MASKS,IMAGES)"
        )
    return mask_ap(ground_truth, predictions, classes)


def _instances(objects: Sequence[Annotation], labels: Mapping[str, int]) -> Instances:
    """The objects with masks as detections, by falling score; a mask without a score has 1."""
    found = [
        (1.0 if a.mask_score is None else a.mask_score, a.mask, a.bbox, labels[a.category])
        for a in objects
        if a.mask and a.category in labels
    ]
    found.sort(key=lambda item: -item[0])
    boxes = np.array([box for _, _, box, _ in found], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Instances(
        boxes,
        np.array([label for *_, label in found], np.int64),
        np.array([score for score, *_ in found], np.float32),
        [mask for _, mask, _, _ in found],
    )


def compare_folds(
    folds: Sequence[Collection[int]], rows: Sequence[Row], teacher: ClassAP, names: Sequence[str]
) -> tuple[TeacherFold, ...]:
    """Each fold's AP of T (the mean over its rows, one for each seed) and of the teacher, on classes that both have."""
    compared = []
    for fold in folds:
        own = [row.ap_gt_boxes for row in rows if set(row.ap_gt_boxes) & set(fold)]
        both = [label for label in fold if label in teacher and all(label in ap for ap in own)]
        if own and both:
            transfer = float(np.mean([[ap[label] for label in both] for ap in own]))
            mean_teacher = float(np.mean([teacher[label] for label in both]))
            compared.append(TeacherFold(tuple(names[label] for label in both), transfer, mean_teacher))
    return tuple(compared)
