"""AP of one class by COCO's procedure, in a document of only those images in which it is or was found."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from faster_coco_eval import COCO, COCOeval_faster

from data_prep.format.records import Annotation, Rle

if TYPE_CHECKING:
    from maskx_model.evaluation.ground_truth import Truth
    from maskx_model.results.instances import Instances

IouType = Literal["bbox", "segm"]
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
MOST, MOST_FEDERATED = 100, 300
"""Instances of a class and image that count at most, the best ones."""


@dataclass(frozen=True)
class ClassDocument:
    """A class as category 1: its images, objects and instances in COCO's formats, or in LVIS's (`federated`).

    `label` is its position in the vocabulary.
    """

    iou_type: IouType
    label: int
    federated: bool = False
    images: dict[int, dict[str, Any]] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)

    def add_object(self, truth: "Truth", number: int) -> None:
        """`truth.objects[number]`, which is of this class."""
        thing = truth.objects[number]
        entry: dict[str, Any] = {"id": len(self.annotations) + 1} | self._photographed(truth)
        entry |= {"bbox": list(thing.bbox), "area": thing.area, "iscrowd": thing.iscrowd}
        self.annotations.append(entry | (_mask_of(thing) if self.iou_type == "segm" else {}))

    def add_instance(self, truth: "Truth", instances: "Instances", number: int) -> None:
        """Instance `number` of those found in the image of `truth`."""
        result = self._photographed(truth) | {"score": float(instances.scores[number])}
        if self.iou_type == "segm":
            result["segmentation"] = _rle(instances.masks[number])
        else:
            x1, y1, x2, y2 = instances.boxes[number].astype(np.float64).tolist()
            result["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        self.results.append(result)

    def _photographed(self, truth: "Truth") -> dict[str, Any]:
        image: dict[str, Any] = {"id": truth.image_id, "height": truth.height, "width": truth.width}
        image["neg_category_ids"] = [1] * (self.label in truth.negative)
        image["not_exhaustive_category_ids"] = [1] * (self.label in truth.not_exhaustive)
        self.images[truth.image_id] = image
        return {"image_id": truth.image_id, "category_id": 1}

    def average_precision(self) -> npt.NDArray[np.float64]:
        """METRICS, float64 [6] in percent points (0–100); NaN where there is no object (of that size)."""
        category = {"id": 1, "frequency": "f"}  # LVIS's bins are made of the classes' AP, elsewhere
        truth = COCO({"images": list(self.images.values()), "categories": [category], "annotations": self.annotations})
        run = COCOeval_faster(
            truth, truth.loadRes(self.results), self.iou_type, lvis_style=self.federated, rle_iou_max_workers=1
        )
        run.params.maxDets = [MOST_FEDERATED if self.federated else MOST]
        run.evaluate()
        run.accumulate()
        return _means(run.eval["precision"][:, :, 0, :, 0])


def _means(precision: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From precision [threshold, recall, size] in 0..1 (-1: no object) to METRICS in percent points."""
    everything, *sizes = (precision[..., size] for size in range(precision.shape[-1]))
    means = np.array([column.mean() for column in (everything, everything[0], everything[5], *sizes)])
    return np.where(means < 0, np.nan, means * 100)


def _mask_of(thing: Annotation) -> dict[str, Any]:
    if thing.mask is not None:
        return {"segmentation": _rle(thing.mask)}
    x, y, w, h = thing.bbox
    return {"segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]], "iscrowd": 1}


def _rle(mask: Rle) -> dict[str, Any]:
    return {"size": list(mask.size), "counts": mask.counts}
