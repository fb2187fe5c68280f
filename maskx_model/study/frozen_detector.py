"""One frozen detector on one dataset, with what every mask head on it needs: computed once, cached on disk."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torchvision.models.detection import FasterRCNN
from tqdm import tqdm

from data_prep.format.manifest import dataset_hash
from data_prep.format.reader import Dataset
from data_prep.format.rows import Rows
from data_prep.storage.errors import ConfigError, DataError
from maskx_model.artifacts.code_versions import code_releases
from maskx_model.artifacts.model_folder import model_hash
from maskx_model.config import MaskConfig, ModelConfig
from maskx_model.data.reader import SampleReader
from maskx_model.data.set_aside import SetAside
from maskx_model.data.word_vectors import class_vectors
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import ground_truth_boxes
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.run_config import RunConfig
from maskx_model.schedules import MaskTargets, RoiKind
from maskx_model.study.box_features import box_features
from maskx_model.study.cache import Tensors, cached_tensors
from maskx_model.study.measured_images import MeasuredImages
from maskx_model.training.roi_cache import CACHE_SEED, cache_rois, read_groups
from maskx_model.training.roi_sampling import RoiBatch
from maskx_model.training.stage2 import freeze, made_masks
from maskx_model.training.trained_detector import load_detector

IMAGES_OF_A_FILE = 100
"""Images whose boxes are in memory together: up to 1 GB of ResNet's features, at 100 detections an image."""


@dataclass(frozen=True)
class FrozenDetector:
    """The detector's folder, the dataset, and the folder in which features are cached (`features`; several may share
    it).

    Only classes of `masks_of` (positions in the vocabulary) ever show a mask to a head; `measured` are the classes
    whose AP is measured, on the images of `split`. With `targets` `grabcut` a head receives GrabCut's masks of the
    boxes, and no annotated one. `embedding` is the file of word vectors, for heads whose T takes them. An object holds
    its settings alone until it is used, and so travels to other processes.
    """

    dataset: str
    detector: str
    features: str
    preset: RunConfig
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
        """The detector, frozen; raises CheckpointError if it does not match the dataset or the preset."""
        detector = load_detector(self.detector, self.data, self.preset, self.device).model
        assert isinstance(detector, FasterRCNN)
        freeze(detector)
        return detector

    @cached_property
    def rows(self) -> Rows:
        """The measured images."""
        return self.data.select(self.split, self.preset.stage2_source)[: self.max_images]

    @cached_property
    def exhaustive(self) -> dict[str, int]:
        """The source's name of every class that it annotates exhaustively → position in the vocabulary."""
        return exhaustive_classes(self.data, self.preset.stage2_source)

    @cached_property
    def ground_truth(self) -> list[GroundTruth]:
        """Of each measured image, of every class that the source annotates exhaustively."""
        source = self.preset.stage2_source
        return [GroundTruth.of(self.data.read_record(row), source, self.exhaustive) for row in self.rows]

    @cached_property
    def classes_with_masks(self) -> frozenset[int]:
        """The classes of which a measured image shows an object with a mask."""
        return frozenset(label for image in self.ground_truth for label in ground_truth_boxes(image)[1].tolist())

    def training_rois(self, kind: RoiKind) -> RoiBatch:
        """The RoIs to train heads on, of all classes of `masks_of`, from images in a random order until there are
        `rois_at_most`. Raises DataError where there is none."""
        per_object, made = self.preset.stage2.cached_proposals, made_masks(self.preset.stage2)

        def compute() -> Tensors:
            reader = SampleReader(self.data, self.preset.stage2_source, frozenset(self.masks_of), self.targets, made)
            rows = self.data.select("train", self.preset.stage2_source)
            order = np.random.default_rng(CACHE_SEED).permutation(len(rows)).tolist()
            set_aside = SetAside(self.dataset, len(rows), self.preset.stage2.max_set_aside)
            groups = read_groups(reader, [rows[number] for number in order], set_aside, "RoI features to train on")
            rois = cache_rois(self.model, groups, per_object, kind, self.rois_at_most)
            if not len(rois):
                raise DataError(f"{self.dataset}: no object of the mask classes has a mask to train on")
            return {name: getattr(rois, name).contiguous() for name in columns}

        columns = tuple(field.name for field in fields(RoiBatch))
        settings = (kind, per_object, self.masks_of, self.rois_at_most, self.targets, made, columns)
        return RoiBatch(**self._cached(f"train-{kind}", {"rois": settings}, compute))

    @cached_property
    def measured_images(self) -> list[MeasuredImages]:
        """The measured images with their boxes, `IMAGES_OF_A_FILE` of them at a time."""
        starts = range(0, len(self.rows), IMAGES_OF_A_FILE)
        return [self._measured_images(start, min(start + IMAGES_OF_A_FILE, len(self.rows))) for start in starts]

    def _measured_images(self, start: int, end: int) -> MeasuredImages:
        ground_truth = self.ground_truth[start:end]

        def compute() -> Tensors:
            rows = tqdm(self.rows[start:end], f"RoI features to measure by, {start} to {end}", unit="image")
            images = zip(map(self.data.pixels, rows), ground_truth, strict=True)
            return box_features(self._untrained, images, self.measured)

        inputs = {"split": self.split, "images": (start, end), "classes": self.measured}
        return MeasuredImages(ground_truth, self._cached(f"{self.split}-{start}", inputs, compute))

    @cached_property
    def _untrained(self) -> MaskXRCNN:
        return self.new_model(self.preset.mask)

    def _cached(self, name: str, inputs: Mapping[str, object], compute: Callable[[], Tensors]) -> Tensors:
        return cached_tensors(self.features, name, {**self.made_from, **inputs}, compute)

    @cached_property
    def made_from(self) -> dict[str, str]:
        """The inputs of all features: the hashes of dataset and detector, the source, and the releases of the code."""
        return {
            "dataset": dataset_hash(self.dataset),
            "detector": model_hash(self.detector),
            "source": self.preset.stage2_source,
            **code_releases(),
        }

    def prepare(self, rois: Collection[RoiKind]) -> None:
        """Compute what heads trained on those kinds of RoIs need, unless it is cached already."""
        for kind in rois:
            self.training_rois(kind)
        _ = self.measured_images

    def new_model(self, mask: MaskConfig, seed: int = 0) -> MaskXRCNN:
        """An untrained mask branch on the detector, its weights a function of the seed alone."""
        device = next(self.model.parameters()).device  # loaded first, for that draws random numbers too
        torch.manual_seed(seed)
        config = ModelConfig(self.preset.detector, mask)
        model = MaskXRCNN(config, len(self.data.vocabulary), self.model)
        if mask.transfer_input == "embedding":
            model.word_vectors = torch.from_numpy(self.word_vectors)
        return model.to(device).eval()

    @cached_property
    def word_vectors(self) -> npt.NDArray[np.float32]:
        """The vectors of `embedding`, float32 [K + 1, E]; raises ConfigError where no file was named."""
        if self.embedding is None:
            raise ConfigError("transfer_input embedding: needs the file of word vectors")
        return class_vectors(self.embedding, self.data.vocabulary)
