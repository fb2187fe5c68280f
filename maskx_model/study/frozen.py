"""One frozen detector on one dataset: mask heads are trained on kept RoI features, and measured by kept ones."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from tqdm import tqdm

from data_prep.format.index import IndexRow
from data_prep.format.manifest import manifest_uri
from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import sha256
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.config import MaskConfig, MaskTargets, ModelConfig, RoiKind
from maskx_model.data.reader import SampleReader
from maskx_model.data.word_vectors import class_vectors
from maskx_model.evaluation.coco_ap import METRICS, average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import ground_truth_boxes
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.masks.pasting import paste
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.presets import Preset
from maskx_model.results.instances import Instances
from maskx_model.study.features import BoxFeatures, Tensors, kept, measured_boxes, training_rois
from maskx_model.study.variants import Variant
from maskx_model.training.learning_rate import choose_learning_rate
from maskx_model.training.roi_cache import CachedRois
from maskx_model.training.roi_sampling import RoiBatch
from maskx_model.training.stage2 import freeze
from maskx_model.training.stages import load_detector

IMAGES_OF_A_FILE = 100
"""Whose boxes are in memory together: up to 1 GB of ResNet's features, at 100 detections of each."""

BOXES_AT_ONCE = 32
"""Whose masks are made together: their features stay in a CPU's cache, which is half as fast again as 256."""

ClassAP = dict[int, float]
"""AP, 0-100, of each class that has an object, by its position in the vocabulary."""


@dataclass(frozen=True)
class Frozen:
    """The detector's folder, the dataset, and where features are kept (`features`, a folder that several may share).

    Only classes of `masks_of` (positions in the vocabulary) ever show a mask to a head; `measured` are the classes
    whose AP is asked for, on the images of `split`. With `targets` `grabcut` no mask is shown, but what GrabCut
    makes of boxes. `embedding` is the file of word vectors, for heads whose T takes them. An object of this kind holds
    no more than its settings until it is used, and so travels to other processes.
    """

    dataset: str
    detector: str
    features: str
    preset: Preset
    masks_of: tuple[int, ...]
    measured: tuple[int, ...]
    split: str = "val"
    max_images: int | None = None
    rois_at_most: int = 40_000
    device: str | None = None
    targets: MaskTargets = "masks"
    embedding: str | None = None

    def __post_init__(self) -> None:
        if self.max_images is not None and self.max_images < 1:
            raise ConfigError(f"max_images: at least one image is needed, got {self.max_images}")
        if self.rois_at_most < 1:
            raise ConfigError(f"rois_at_most: at least one RoI is needed to train on, got {self.rois_at_most}")

    @cached_property
    def data(self) -> Dataset:
        """The dataset; raises DataError where there is none."""
        return Dataset.open(self.dataset)

    @cached_property
    def model(self) -> FasterRCNN:
        """The detector, frozen; raises CheckpointError for one that fits the dataset or the preset not."""
        detector = load_detector(self.detector, self.data, self.preset, self.device).model
        assert isinstance(detector, FasterRCNN)
        freeze(detector)
        return detector

    @cached_property
    def rows(self) -> list[IndexRow]:
        """The images measured on."""
        return self.data.select(self.split, self.preset.stage2_source)[: self.max_images]

    @cached_property
    def truths(self) -> list[GroundTruth]:
        """What is in them, of every class that the source annotates exhaustively."""
        source = self.preset.stage2_source
        labels = exhaustive_classes(self.data, source)
        return [GroundTruth.of(self.data.read_record(row), source, labels) for row in self.rows]

    @cached_property
    def shown(self) -> frozenset[int]:
        """The classes of which they show an object with a mask."""
        return frozenset(label for truth in self.truths for label in ground_truth_boxes(truth)[1].tolist())

    def training(self, kind: RoiKind) -> RoiBatch:
        """The RoIs to train on, of all classes of `masks_of`."""
        per_object = self.preset.stage2.cached_proposals

        def compute() -> Tensors:
            reader = SampleReader(self.data, self.preset.stage2_source, frozenset(self.masks_of), self.targets)
            rows = self.data.select("train", self.preset.stage2_source)
            return training_rois(self.model, reader, rows, self.rois_at_most, per_object=per_object, kind=kind)

        asked: dict[str, object] = {
            "rois": kind,
            "per_object": per_object,
            "classes": self.masks_of,
            "rois_at_most": self.rois_at_most,
        }
        if self.targets != "masks":
            asked["targets"] = self.targets
        return RoiBatch(**self._kept(f"train-{kind}", asked, compute))

    @cached_property
    def _parts(self) -> list["_Part"]:
        starts = range(0, len(self.rows), IMAGES_OF_A_FILE)
        return [self._part(start, min(start + IMAGES_OF_A_FILE, len(self.rows))) for start in starts]

    def _part(self, start: int, end: int) -> "_Part":
        truths = self.truths[start:end]

        def compute() -> Tensors:
            rows = tqdm(self.rows[start:end], f"RoI features to measure by, {start} to {end}", unit="image")
            return measured_boxes(self._finder, zip(map(self.data.pixels, rows), truths, strict=True), self.measured)

        asked = {"split": self.split, "photographs": (start, end), "classes": self.measured}
        return _Part(truths, self._kept(f"{self.split}-{start}", asked, compute))

    @cached_property
    def _finder(self) -> MaskXRCNN:
        """Its mask branch is not used."""
        return self.new_model(self.preset.mask)

    def _kept(self, name: str, asked: Mapping[str, object], compute: Callable[[], Tensors]) -> Tensors:
        return kept(self.features, name, {**self.made_from, **asked}, compute)

    @cached_property
    def made_from(self) -> dict[str, str]:
        """What all features depend on."""
        return {
            "dataset": sha256(manifest_uri(self.dataset)),
            "detector": model_hash(self.detector),
            "source": self.preset.stage2_source,
        }

    def prepare(self, rois: Collection[RoiKind]) -> None:
        """Compute what heads trained on those kinds of RoIs need, if it is not kept already."""
        for kind in rois:
            self.training(kind)
        _ = self._parts

    def new_model(self, mask: MaskConfig) -> MaskXRCNN:
        """An untrained mask branch on the detector."""
        device = next(self.model.parameters()).device
        config = ModelConfig(self.preset.detector, mask)
        model = MaskXRCNN(config, len(self.data.vocabulary), self.model)
        if mask.transfer_input == "embedding":
            model.word_vectors = torch.from_numpy(self.word_vectors)
        return model.to(device).eval()

    @cached_property
    def word_vectors(self) -> npt.NDArray[np.float32]:
        """Those of `embedding`, float32 [K + 1, E]; raises ConfigError where no file was named."""
        if self.embedding is None:
            raise ConfigError("transfer_input embedding: needs the file of word vectors")
        return class_vectors(self.embedding, self.data.vocabulary)

    def train(self, variant: Variant, classes: Collection[int], seed: int) -> MaskXRCNN:
        """That variant trained on masks of those classes alone: the preset's steps, optimizer and first learning rate,
        its `rois_per_batch` of kept RoIs a step. Kept RoIs are not flipped, and of `proposals` each object has its
        ground-truth box and `cached_proposals` others, where a preset without `cache_rois` draws as the detector does.
        """
        schedule = self.preset.stage2
        rois = of_classes(self.training(variant.rois), classes)
        rates = replace(schedule, learning_rates=schedule.learning_rates[:1])

        def new_model() -> MaskXRCNN:
            torch.manual_seed(seed)
            return self.new_model(variant.mask).train()

        return choose_learning_rate(new_model, CachedRois(rois, rates, seed), None, rates, seed)[0]

    def average_precision(self, model: MaskXRCNN, kind: str, classes: Sequence[int]) -> ClassAP:
        """Mask AP of those of the classes measured, on `predicted` or `given` boxes."""
        found = self.instances(model, kind, classes)
        table = average_precision(self.truths, found, "segm", classes)
        return {label: ap for label, ap in table.by_class().items() if ap is not None}

    def instances(self, model: MaskXRCNN, kind: str, classes: Sequence[int]) -> list[Instances]:
        """What the model finds of those classes in each image, on `predicted` or `given` boxes."""
        found: list[Instances] = []
        for part in self._parts:
            boxes = part.boxes(kind).of_classes(classes)
            found += part.instances(boxes, probabilities(model, boxes))
        return found

    @cached_property
    def box_ap50(self) -> ClassAP:
        """Box AP at IoU 0.5 of every class that the source annotates exhaustively: no mask takes part in it."""
        found = [each for part in self._parts for each in part.instances(part.boxes("all"), None)]
        classes = tuple(exhaustive_classes(self.data, self.preset.stage2_source).values())
        table = average_precision(self.truths, found, "bbox", classes)
        at_half = table.values[:, METRICS.index("AP50")].tolist()
        return {label: ap for label, ap in zip(table.classes, at_half, strict=True) if not math.isnan(ap)}


@dataclass(frozen=True)
class _Part:
    """Some of the images measured on: what is in them, and what is kept of them (`measured_boxes`)."""

    truths: Sequence[GroundTruth]
    tensors: Tensors

    def boxes(self, kind: str) -> BoxFeatures:
        """`predicted` or `given` boxes of the classes measured, or `all` detections, which have no features."""
        return BoxFeatures(**{field.name: self.tensors[f"{kind}/{field.name}"] for field in fields(BoxFeatures)})

    def instances(self, boxes: BoxFeatures, masks: Tensor | None) -> list[Instances]:
        """The boxes by image; `masks`: float32 [N, 28, 28] in 0..1, in their order."""
        found = []
        for number, truth in enumerate(self.truths):
            rows = (boxes.photograph == number).nonzero()[:, 0]
            own = boxes.boxes[rows]
            pasted = [] if masks is None else paste(masks[rows], own, (truth.height, truth.width))
            labels, scores = boxes.labels[rows].numpy() - 1, boxes.scores[rows].numpy()
            found.append(Instances(own.numpy(), labels, scores, pasted))
        return found


def of_classes(rois: RoiBatch, classes: Collection[int]) -> RoiBatch:
    """The RoIs whose class (a position in the vocabulary) is among those."""
    wanted = torch.tensor(sorted(classes)) + 1
    return rois.select(torch.isin(rois.labels, wanted).nonzero()[:, 0])


@torch.no_grad()
def probabilities(model: MaskXRCNN, boxes: BoxFeatures) -> Tensor:
    """Masks of those boxes, float32 [N, 28, 28] in 0..1."""
    w_seg = model.w_seg()
    parts = [
        model.mask_branch.logits(features.float().to(w_seg), w_seg[labels.to(w_seg.device)]).sigmoid().cpu()
        for features, labels in zip(boxes.features.split(BOXES_AT_ONCE), boxes.labels.split(BOXES_AT_ONCE), strict=True)
    ]
    return torch.cat(parts)
