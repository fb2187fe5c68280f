"""One toy world with its trained detector, on which mask heads can be compared: shared by the toy benchmarks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torchvision.models.detection import FasterRCNN

from data_prep.format.reader import Dataset
from data_prep.prepare.options import PrepareOptions
from data_prep.prepare.prepare import prepare
from data_prep.toy_world import write_toy_world
from data_prep.toy_world.classes import Style, class_groups
from maskx_model.artifacts.model_folder import load_model
from maskx_model.config import MaskConfig, ModelConfig
from maskx_model.data.mask_classes import classes_with_masks
from maskx_model.data.reader import SampleReader
from maskx_model.data.set_aside import SetAside
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import Evaluation, measure
from maskx_model.evaluation.predictions import predict
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.presets import get_preset, toy
from maskx_model.run_config import RunConfig
from maskx_model.study.heads import of_classes
from maskx_model.training.learning_rate import choose_learning_rate
from maskx_model.training.roi_cache import CachedRois
from maskx_model.training.roi_sampling import RoiBatch
from maskx_model.training.stage2 import cached, freeze
from maskx_model.training.stages import train_detector

GROUPS = 5


@dataclass(frozen=True)
class ToyRun:
    """A world of that style and seed below `folder`, prepared, and the detector that the (toy) preset trains on it."""

    folder: Path
    style: Style
    seed: int
    preset: RunConfig = field(default_factory=toy)

    @cached_property
    def data(self) -> Dataset:
        """The prepared dataset; made if it is not there yet."""
        original, dataset = self.folder / "original", self.folder / "dataset"
        config = self.preset.data
        assert config.toy_images is not None and config.toy_val_images is not None
        if not original.exists():
            write_toy_world(
                original, images=config.toy_images, val_images=config.toy_val_images, seed=self.seed, style=self.style
            )
        sources = (f"coco=coco:{original / 'coco'}", f"vg=vg:{original / 'visual_genome'}")
        prepare(
            PrepareOptions(sources=sources, out=str(dataset), classes=config.classes, max_rejected=config.max_rejected)
        )
        return Dataset.open(str(dataset))

    @property
    def detector_folder(self) -> str:
        """Stage 1 of the preset; trained if it is not there yet."""
        out = self.folder / "detector"
        if not (out / "manifest.json").exists():
            train_detector(self.data.uri, str(out), self.preset, seed=self.seed)
        return str(out)

    @cached_property
    def detector(self) -> FasterRCNN:
        """The trained detector, frozen."""
        model = load_model(self.detector_folder).model
        assert isinstance(model, FasterRCNN)
        freeze(model)
        return model

    def group(self, number: int) -> frozenset[int]:
        """The classes of a group that AP is measured on, as positions in the vocabulary."""
        members = map(self.data.vocabulary.find, class_groups(self.style)[number])
        return self.classes & frozenset(members)

    def masked_group(self, number: int) -> frozenset[int]:
        """Those of a group that training images have masks of: in a small world, not all."""
        return self.group(number) & frozenset(classes_with_masks(self.data.vocabulary, "coco"))

    def class_list(self, name: str, labels: Sequence[int]) -> str:
        """A file of these classes' names, as `--mask-classes` takes it."""
        file = self.folder / f"{name}.txt"
        file.write_text("".join(f"{self.data.vocabulary.names[label]}\n" for label in labels))
        return str(file)

    @cached_property
    def classes(self) -> frozenset[int]:
        """All classes that AP is measured on."""
        return frozenset(exhaustive_classes(self.data, "coco").values())

    @cached_property
    def rois(self) -> RoiBatch:
        """RoIs with masks of all classes; a head gets its part by `of_classes`."""
        reader = SampleReader(self.data, "coco", self.classes)
        rows, schedule = self.data.select("train", "coco"), self.preset.stage2
        set_aside = SetAside(self.data.uri, len(rows), schedule.max_set_aside)
        return cached(self.detector, reader, rows, schedule, set_aside)

    def head(self, mask: MaskConfig, classes: Collection[int]) -> MaskXRCNN:
        """A mask head trained as the toy preset does, on the masks of those classes only."""
        preset = self.preset

        def new_model() -> MaskXRCNN:
            torch.manual_seed(self.seed)
            return MaskXRCNN(ModelConfig(preset.detector, mask), len(self.data.vocabulary), self.detector)

        source = CachedRois(of_classes(self.rois, classes), preset.stage2, self.seed)
        model, _ = choose_learning_rate(new_model, source, None, preset.stage2, self.seed)
        return model

    def measure(self, models: Mapping[str, MaskXRCNN], mask_classes: Collection[int]) -> Evaluation:
        """AP on the validation images: of A, of the rest as B, and of all."""
        labels = exhaustive_classes(self.data, "coco")
        rows = self.data.select("val", "coco")
        ground_truth = [GroundTruth.of(self.data.read_record(row), "coco", labels) for row in rows]
        predictions = predict(zip(map(self.data.pixels, rows), ground_truth, strict=True), models)
        return measure(ground_truth, predictions, self.classes, mask_classes, self.data.vocabulary.names, {})


def sized(preset: RunConfig, images: int | None, val_images: int | None, steps: int | None) -> RunConfig:
    """The preset on so many images, with so many steps; a small world keeps its size."""
    if images is not None:
        preset = replace(preset, data=replace(preset.data, classes=None, max_rejected=0.5, toy_images=images))
    if val_images is not None:
        preset = replace(preset, data=replace(preset.data, toy_val_images=val_images))
    if steps is not None:
        stages = replace(preset.stage1, steps=steps), replace(preset.stage2, steps=steps)
        preset = replace(preset, crops=replace(preset.crops, steps=steps), stage1=stages[0], stage2=stages[1])
    return preset


class ShuffledClasses(MaskXRCNN):
    """The same model, with w_det exchanged at random among some classes: T must then point at the wrong appearance."""

    @classmethod
    def of(cls, model: MaskXRCNN, classes: Collection[int], seed: int) -> "ShuffledClasses":
        """A view on `model` (weights shared) that exchanges w_det among `classes`, none keeping its own."""
        shuffled = cls(model.config, model.embeddings().shape[0] - 1, model.detector)
        shuffled.mask_branch = model.mask_branch
        labels = torch.tensor(sorted(classes)) + 1
        shift = 1 + torch.randint(len(labels) - 1, (1,), generator=torch.Generator().manual_seed(seed)).item()
        shuffled.exchanged = (labels, labels.roll(int(shift)))
        return shuffled.eval()

    exchanged: tuple[torch.Tensor, torch.Tensor]

    def embeddings(self, labels: torch.Tensor | None = None) -> torch.Tensor:
        """w_det of every label, [K + 1, D], or of `labels`, those of the exchanged classes in another order."""
        w_det = super().embeddings().clone()
        to, source = self.exchanged
        w_det[to] = w_det[source]
        return w_det if labels is None else w_det[labels]


def transfer_config(**changes: object) -> MaskConfig:
    """The toy preset's mask configuration with some fields changed."""
    return replace(get_preset("toy").mask, **changes)  # type: ignore[arg-type]
