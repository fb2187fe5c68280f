"""Stage 2: the mask branch on frozen features, from the masks of A only."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torchvision.models.detection import FasterRCNN
from tqdm import tqdm

from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.storage.errors import DataError
from maskx_model.artifacts.model_folder import LoadedModel
from maskx_model.artifacts.origin import Origin
from maskx_model.config import MaskSchedule, ModelConfig
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.reader import SampleReader
from maskx_model.model.compute import compile_backbone, in_precision_of
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.presets import Preset
from maskx_model.training.learning_rate import RoiSource, choose_learning_rate
from maskx_model.training.loop import Place
from maskx_model.training.roi_sampling import RoiBatch, cached_rois, sampled_rois

HELD_BACK = 10
"""With several learning rates to choose from, every tenth image is held back to choose by."""
CACHE_SEED = 7


def fit_masks(
    data: Dataset,
    trained: LoadedModel,
    config: ModelConfig,
    classes: tuple[int, ...],
    preset: Preset,
    seed: int,
    folder: str,
    made_from: Origin,
    word_vectors: npt.NDArray[np.float32] | None = None,
    load_features: Callable[[MaskBranch], None] | None = None,
) -> tuple[MaskXRCNN, bytes]:
    """The detector with a trained mask branch, and the metric lines of the training that was kept.

    `word_vectors`, [K + 1, E]: for T's input `embedding`. `load_features`: fills the features of a new branch.
    """
    detector = trained.model
    assert isinstance(detector, FasterRCNN)
    freeze(detector)
    compile_backbone(detector, preset.stage2.compute)
    reader = SampleReader(data, preset.stage2_source, frozenset(classes), preset.stage2.targets)
    seen = classes if preset.stage2.targets == "masks" else tuple(reader.index.values())
    rows = rows_with_masks(data, preset.stage2_source, reader, seen)
    training, held_back = split_rows(rows, preset.stage2)
    if not training:
        raise DataError(
            f"{data.uri}: only one image shows a class of A, too few to hold one back and choose a learning rate "
            "by it; prepare more images, or set one learning rate (--learning-rate)"
        )
    rois = roi_source(detector, reader, training, preset.stage2, seed)
    held_back_rois = cached(detector, reader, held_back, preset.stage2) if held_back else None
    if held_back_rois is not None and len(held_back_rois) == 0:
        raise DataError(
            f"{data.uri}: no object of A with a mask is in the {len(held_back)} images held back to choose a "
            "learning rate by; prepare more images, or set one learning rate (--learning-rate)"
        )

    def new_model() -> MaskXRCNN:
        torch.manual_seed(seed)
        model = MaskXRCNN(config, len(data.vocabulary), detector)
        if word_vectors is not None:
            model.word_vectors = torch.from_numpy(word_vectors)
        if load_features is not None:
            load_features(model.mask_branch)
        return model.to(next(detector.parameters()).device)

    return choose_learning_rate(new_model, rois, held_back_rois, preset.stage2, seed, Place(folder, made_from))


def freeze(detector: FasterRCNN) -> None:
    """Features and box head fixed, batch norm included (§3.2)."""
    detector.eval().requires_grad_(False)


def rows_with_masks(data: Dataset, source: str, reader: SampleReader, classes: tuple[int, ...]) -> list[IndexRow]:
    """The training images on which a class of A stands; raises DataError if there are none."""
    wanted = {name for name, position in reader.index.items() if position in set(classes)}
    rows = [row for row in data.select("train", source) if not wanted.isdisjoint(row.classes.get(source, ()))]
    if not rows:
        raise DataError(f"{data.uri}: no training image of source {source!r} shows a class of A")
    return rows


def split_rows(rows: list[IndexRow], schedule: MaskSchedule) -> tuple[list[IndexRow], list[IndexRow]]:
    """The rows to train on, and those held back to choose a learning rate by (none if there is one rate only)."""
    if len(schedule.learning_rates) == 1:
        return rows, []
    return [row for i, row in enumerate(rows) if i % HELD_BACK], rows[::HELD_BACK]


def roi_source(
    detector: FasterRCNN, reader: SampleReader, rows: list[IndexRow], schedule: MaskSchedule, seed: int
) -> RoiSource:
    """Batches of RoIs from a step on: from memory, or from images as they come."""
    if schedule.cache_rois:
        return CachedRois(cached(detector, reader, rows, schedule), schedule, seed)
    samples = TrainingBatches(reader, rows, schedule.images_per_batch, seed, schedule.flip)
    device = next(detector.parameters()).device

    def batches(start: int) -> Iterator[RoiBatch]:
        for step, batch in enumerate(load_batches(samples, range(start, schedule.steps), device), start):
            # RoIs are drawn before the loop has set the step's seed.
            torch.manual_seed(seed * 1_000_003 + step)
            with in_precision_of(schedule.compute, device):
                rois = sampled_rois(detector, batch, kind=schedule.rois)
            yield rois

    return batches


def cached(detector: FasterRCNN, reader: SampleReader, rows: list[IndexRow], schedule: MaskSchedule) -> RoiBatch:
    """The RoIs of those images, in memory."""
    torch.manual_seed(CACHE_SEED)
    progress = tqdm(rows, desc="RoI features", unit="image", mininterval=1)
    groups = ([reader.sample(row) for row in group] for group in _groups(progress, 8))
    return cached_rois(detector, groups, schedule.cached_proposals, schedule.rois)


def _groups(rows: Iterable[IndexRow], size: int) -> Iterator[list[IndexRow]]:
    group: list[IndexRow] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


class CachedRois:
    """Batches drawn from cached RoIs; step by step a function of the seed."""

    def __init__(self, rois: RoiBatch, schedule: MaskSchedule, seed: int) -> None:
        if len(rois) == 0:
            raise DataError("no object of A with a mask is left to train on; choose other mask classes")
        self.rois, self.schedule, self.seed = rois, schedule, seed

    def __call__(self, start: int) -> Iterator[RoiBatch]:
        for step in range(start, self.schedule.steps):
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            yield self.rois.select(torch.randint(len(self.rois), (self.schedule.rois_per_batch,), generator=generator))
