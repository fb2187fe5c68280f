"""From a dataset's index rows to samples of one source; masks outside A are dropped here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record, Rle
from maskx_model.data.crop_and_resize import with_masks_of_image
from maskx_model.data.samples import Sample
from maskx_model.model.crowds import CROWD_LABEL
from maskx_model.schedules import MaskTargets

Box = tuple[float, float, float, float]
"""xyxy in pixels."""


@dataclass(frozen=True)
class MadeMasks:
    """What masks that a model made count for: their weight in the loss, 0 to 1, and the score below which they are left
    out. One without a score is kept."""

    weight: float = 1.0
    min_score: float = 0.0

    def weight_of(self, annotation: Annotation) -> float:
        """The weight of an annotation's mask; 0 if it is left out. People's weigh 1."""
        if annotation.provenance is None:
            return 1.0
        score = annotation.mask_score
        return self.weight if score is None or score >= self.min_score else 0.0


LIKE_PEOPLES = MadeMasks()
"""All masks count alike, whoever made them."""


class SampleReader:
    """Turns a dataset's images and records into samples of one source, with labels of its vocabulary.

    Masks are dropped here for every class that is not in `mask_classes` (0-based positions): no mask of B
    passes the loader. With `targets` `grabcut` all are dropped, and GrabCut makes one of each object's box.
    `made`: what masks that a model made count for; GrabCut's weigh 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        source: str,
        mask_classes: frozenset[int] = frozenset(),
        targets: MaskTargets = "masks",
        made: MadeMasks = LIKE_PEOPLES,
    ) -> None:
        self.dataset = dataset
        self.source = source
        self.mask_classes = mask_classes
        self.targets = targets
        self.made = LIKE_PEOPLES if targets == "grabcut" else made
        self.index = dataset.vocabulary.index(source)

    def from_record(self, image: npt.NDArray[np.uint8], record: Record) -> Sample:
        """The image, uint8 [H, W, 3] RGB, with its record's annotations: boxes clipped to the image, classes mapped to
        labels; classes outside the vocabulary and empty boxes are excluded. Boxes and masks follow an image that was
        decoded at less than its record's size."""
        annotated = [
            (box, a)
            for a in record.objects.get(self.source, [])
            if a.category in self.index and (box := _clipped(a, record)) is not None
        ]
        smaller = image.shape[:2] != (record.height, record.width)
        if smaller:
            annotated = [(_scaled(box, image, record), a) for box, a in annotated]
        labels = [CROWD_LABEL if a.iscrowd else self.index[a.category] + 1 for _, a in annotated]
        sample = Sample(
            key=record.key,
            image=image,
            boxes=torch.tensor([box for box, _ in annotated], dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor(labels, dtype=torch.int64),
            masks=self._grabcut(image, annotated)
            if self.targets == "grabcut"
            else tuple(
                a.mask if label - 1 in self.mask_classes and self.made.weight_of(a) else None
                for label, (_, a) in zip(labels, annotated, strict=True)
            ),
            mask_weights=() if self.made == LIKE_PEOPLES else tuple(self.made.weight_of(a) for _, a in annotated),
            negative=self._labels(record.negative),
            not_exhaustive=self._labels(record.not_exhaustive),
        )
        return with_masks_of_image(sample) if smaller else sample

    def _labels(self, names: Mapping[str, list[str]]) -> tuple[int, ...]:
        own = names.get(self.source, [])
        return tuple(sorted({self.index[name] + 1 for name in own if name in self.index}))

    def _grabcut(
        self, image: npt.NDArray[np.uint8], annotated: Sequence[tuple[Box, Annotation]]
    ) -> tuple[Rle | None, ...]:
        from maskx_model.masks.grabcut import grabcut_masks

        boxes = np.array([box for box, _ in annotated]).reshape(-1, 4)
        masks = grabcut_masks(image, boxes).masks
        return tuple(None if a.iscrowd else mask for mask, (_, a) in zip(masks, annotated, strict=True))


def _scaled(box: Box, image: npt.NDArray[np.uint8], record: Record) -> Box:
    """The box in the pixels of an image of another size than the record's."""
    across, down = image.shape[1] / record.width, image.shape[0] / record.height
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def _clipped(annotation: Annotation, record: Record) -> Box | None:
    x, y, width, height = annotation.bbox
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(record.width)), min(y + height, float(record.height))
    return (left, top, right, bottom) if right - left >= 1e-2 and bottom - top >= 1e-2 else None
