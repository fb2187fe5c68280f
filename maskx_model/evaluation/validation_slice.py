"""A look at a model while it trains: AP on some images of the validation split, and pictures of what it finds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.pages.drawing import Picture, Shape, draw
from maskx_model.config import PLAIN, Compute
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import Evaluation, measure
from maskx_model.evaluation.predictions import Predictions, predict, predict_boxes
from maskx_model.evaluation.protocols import PROTOCOLS
from maskx_model.evaluation.ranks import own_share, shared_predictions
from maskx_model.model.compute import in_precision_of
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.results.drawing import SMALLEST_LONG_EDGE
from maskx_model.results.instances import Instances
from maskx_model.training.distributed import current_world

SPLIT = "val"
SHOWN = 4
"""Images of the slice that are drawn, always the same ones."""
BEST_SHOWN = 10
"""Detections drawn on an image: an early model's scores are too low for a threshold."""
KIND = "trained"

Show = Callable[[int, str, Picture], None]
"""Takes a picture, uint8 [H, W, 3] RGB, with the step and the image's key."""


@dataclass(frozen=True)
class Slice:
    """The images to look at: the first `images` of the validation split that `source` annotates, and A, as positions
    in the vocabulary."""

    data: Dataset
    source: str
    mask_classes: frozenset[int]
    images: int


class ValidationSlice:
    """The watch of a training (`maskx_model.training.metric_sink.Watch`): AP of A and of B, apart, in percent points.

    Masks are measured where the model has them, as `val/mask_ap_a` and `val/mask_ap_b`, on its own boxes; boxes as
    `val/box_ap_a` and `val/box_ap_b`. What has no object in the slice has no number. B chooses nothing: the best
    checkpoint is the one that is best on A. Of so few images AP is too high and varies by chance; it shows whether
    a training gets on, and compares with no other figure.
    """

    def __init__(
        self,
        images: Slice,
        every: int,
        masks: bool,
        whole: Callable[[nn.Module], nn.Module] = lambda module: module,
        show: Show | None = None,
        compute: Compute = PLAIN,
    ) -> None:
        """`every`: steps between two looks. `masks`: whether the model has a mask branch. `whole`: the model that
        predicts, of the module that is trained. `show`: takes pictures of some of the images.

        Raises DataError if there is no such image, or the source annotates no class exhaustively.
        """
        self.every, self.best_by = every, "val/mask_ap_a" if masks else "val/box_ap_a"
        self._masks, self._whole, self._show, self._compute = masks, whole, show, compute
        self._data, self._a = images.data, images.mask_classes
        self._classes = PROTOCOLS["coco"].classes(images.data, images.source)
        self._rows = images.data.select(SPLIT, images.source)[: images.images]
        self._source = images.source

    def __call__(self, step: int, module: nn.Module) -> Mapping[str, float]:
        """Measures the module as it is after that step; hands pictures to `show` and returns the numbers, on the first
        rank. All ranks call it, and share the images."""
        world = current_world()
        truth = [GroundTruth.of(self._data.read_record(row), self._source, self._classes) for row in self._rows]
        with _undisturbed(module) as device:
            model = self._whole(module)
            with _evaluated(model), in_precision_of(self._compute, device):
                own = self._predict(model, own_share(self._rows, world), own_share(truth, world))
        predicted = shared_predictions({KIND: own}, len(self._rows), world)[KIND]
        if not world.is_first:
            return {}
        names = self._data.vocabulary.names
        result = measure(truth, {KIND: predicted}, set(self._classes.values()), self._a, names, {}, masks=self._masks)
        if self._show is not None:
            for row, found in zip(self._rows[:SHOWN], predicted.on_predicted_boxes, strict=False):
                self._show(step, row.key, self._drawn(row, found))
        return _numbers(result)

    def _predict(self, model: nn.Module, rows: Sequence[IndexRow], truth: Sequence[GroundTruth]) -> Predictions:
        images = zip(map(self._data.pixels, rows), truth, strict=True)
        if isinstance(model, MaskXRCNN):
            return predict(images, {KIND: model})[KIND]
        assert isinstance(model, FasterRCNN)
        return predict_boxes(images, {KIND: model})[KIND]

    def _drawn(self, row: IndexRow, found: Instances) -> Picture:
        image, names = self._data.pixels(row), self._data.vocabulary.names
        shapes = [
            Shape(
                tuple(found.boxes[i].tolist()),
                found.masks[i] if found.masks else None,
                label in self._a,
                f"{names[label]} {found.scores[i]:.2f}",
            )
            for i, label in enumerate(found.labels[:BEST_SHOWN].tolist())
        ]
        return draw(image, shapes, max(*image.shape[:2], SMALLEST_LONG_EDGE))


def _numbers(result: Evaluation) -> dict[str, float]:
    measured = {"mask": result.ap.get(KIND, {}), "box": result.box_ap[KIND]}
    return {
        f"val/{what}_ap_{part.lower()}": value
        for what, parts in measured.items()
        for part in ("A", "B")
        if (value := parts.get(part)) is not None
    }


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[torch.device]:
    """The module's device; afterwards torch's random generators stand where they stood."""
    device = next(module.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield device


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards each of its modules is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
