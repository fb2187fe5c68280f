"""Some of the measured images: their ground truth, and their boxes with features."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from torch import Tensor

from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.masks.pasting import paste
from maskx_model.results.instances import Instances
from maskx_model.results.predict import to_instances
from maskx_model.study.box_features import BoxFeatures, BoxKind
from maskx_model.study.cache import Tensors


@dataclass(frozen=True)
class MeasuredImages:
    """`ground_truth` of each image; `tensors` as `box_features` returns them."""

    ground_truth: Sequence[GroundTruth]
    tensors: Tensors

    def boxes(self, kind: BoxKind) -> BoxFeatures:
        """The images' boxes of that kind."""
        return BoxFeatures(**{field.name: self.tensors[f"{kind}/{field.name}"] for field in fields(BoxFeatures)})

    def instances(self, boxes: BoxFeatures, masks: Tensor | None) -> list[Instances]:
        """The boxes by image, with `masks`, float32 [N, 28, 28] in 0..1, pasted into it, or without any."""
        instances = []
        for number, image in enumerate(self.ground_truth):
            rows = (boxes.image == number).nonzero()[:, 0]
            own = {"boxes": boxes.boxes[rows], "labels": boxes.labels[rows], "scores": boxes.scores[rows]}
            pasted = [] if masks is None else paste(masks[rows], own["boxes"], (image.height, image.width))
            instances.append(to_instances(own, pasted))
        return instances
