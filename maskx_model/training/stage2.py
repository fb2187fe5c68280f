"""Stage 2: the mask branch on frozen features, from the masks of A only."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torchvision.models.detection import FasterRCNN

from data_prep.format.reader import Dataset
from data_prep.format.rows import Rows
from data_prep.storage.errors import DataError
from maskx_model.artifacts.model_folder import LoadedModel
from maskx_model.config import ModelConfig
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.loading import loading_of
from maskx_model.data.reader import MadeMasks, SampleReader
from maskx_model.data.seeds import step_seed
from maskx_model.data.set_aside import SetAside
from maskx_model.data.training_images import training_count, training_images
from maskx_model.model.compute import compile_backbone, in_precision_of
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.model.sampling import begin_at_image
from maskx_model.run_config import RunConfig
from maskx_model.schedules import MaskSchedule
from maskx_model.training.distributed import current_world
from maskx_model.training.feature_cache import FeatureCache
from maskx_model.training.feature_folder import FeatureFolder, opened_cache, telling
from maskx_model.training.learning_rate import RoiSource, choose_learning_rate
from maskx_model.training.roi_cache import CachedRois, cache_rois, read_groups
from maskx_model.training.roi_sampling import RoiBatch, sampled_rois
from maskx_model.training.session import REHEARSED_IMAGES, Session

HELD_OUT = 10
"""With several learning rates to choose from, every tenth image is held out to choose by."""


def fit_masks(
    data: Dataset,
    trained: LoadedModel,
    config: ModelConfig,
    classes: tuple[int, ...],
    preset: RunConfig,
    seed: int,
    session: Session,
    word_vectors: npt.NDArray[np.float32] | None = None,
    load_features: Callable[[MaskBranch], None] | None = None,
    cache: FeatureFolder | None = None,
) -> tuple[MaskXRCNN, bytes]:
    """The detector with a trained mask branch, and the metric lines of the training that was chosen.

    `word_vectors`, [K + 1, E]: for T's input `embedding`. `load_features`: fills the features of a new branch. `cache`:
    where what is frozen is cached; the result is the same without. Raises DataError if no training image shows an
    object of A with a mask, or too few do to choose a learning rate; ConfigError if the cache does not fit on its disk.
    """
    detector = trained.model
    assert isinstance(detector, FasterRCNN)
    freeze(detector)
    compile_backbone(detector, preset.stage2.compute)
    made = made_masks(preset.stage2)
    reader = SampleReader(data, preset.stage2_source, frozenset(classes), preset.stage2.targets, made)
    seen = classes if preset.stage2.targets == "masks" else tuple(reader.index.values())
    rows = rows_with_masks(data, preset.stage2_source, reader, seen)
    frozen = opened_cache(cache, detector, rows, preset.stage2, session.rehearsal) if cache else None
    if session.rehearsal:
        rows = rows[:REHEARSED_IMAGES]
    training, held_out = split_rows(rows, preset.stage2)
    if not training:
        raise DataError(
            f"{data.uri}: only one image shows a class of A, too few to hold one out and choose a learning rate "
            "by it; prepare more images, or set one learning rate (--learning-rate)"
        )
    set_aside = SetAside(data.uri, len(rows), preset.stage2.max_set_aside)
    rois = roi_source(detector, reader, training, preset.stage2, seed, set_aside, frozen)
    held_out_rois = rois_to_choose_by(detector, reader, held_out, preset.stage2, set_aside)

    def new_model() -> MaskXRCNN:
        torch.manual_seed(seed)
        model = MaskXRCNN(config, len(data.vocabulary), detector)
        if word_vectors is not None:
            model.word_vectors = torch.from_numpy(word_vectors)
        if load_features is not None:
            load_features(model.mask_branch)
        return model.to(next(detector.parameters()).device)

    return choose_learning_rate(new_model, rois, held_out_rois, preset.stage2, seed, session)


def made_masks(schedule: MaskSchedule) -> MadeMasks:
    """What the schedule has masks that a model made count for."""
    return MadeMasks(schedule.made_mask_weight, schedule.min_mask_score)


def freeze(detector: FasterRCNN) -> None:
    """Features and box head fixed, batch norm included (§3.2)."""
    detector.eval().requires_grad_(False)


def rows_with_masks(data: Dataset, source: str, reader: SampleReader, classes: tuple[int, ...]) -> Rows:
    """The training images that show a class of A; raises DataError if there are none, or if no training image has a
    mask."""
    wanted = {name for name, position in reader.index.items() if position in set(classes)}
    rows = training_images(data, source).showing(source, wanted)
    if reader.targets == "masks" and training_count(data, source, "masks") == 0:
        raise DataError(f"{data.uri}: no training image of source {source!r} has a mask, only those of other splits")
    if not rows:
        raise DataError(f"{data.uri}: no training image of source {source!r} shows a class of A")
    return rows


def split_rows(rows: Rows, schedule: MaskSchedule) -> tuple[Rows, Rows]:
    """The rows to train on, and those held out to choose a learning rate by (none if there is one only)."""
    if len(schedule.learning_rates) == 1:
        return rows, rows[:0]
    return rows.take(np.flatnonzero(np.arange(len(rows)) % HELD_OUT)), rows[::HELD_OUT]


def rois_to_choose_by(
    detector: FasterRCNN, reader: SampleReader, held_out: Rows, schedule: MaskSchedule, set_aside: SetAside
) -> RoiBatch | None:
    """The RoIs of the images held out, None without such images; raises DataError if none of them has a mask of A."""
    if not held_out:
        return None
    rois = cached(detector, reader, held_out, schedule, set_aside)
    if len(rois) == 0:
        raise DataError(
            f"{reader.dataset.uri}: no object of A with a mask is in the {len(held_out)} images held out to choose a "
            "learning rate by; prepare more images, or set one learning rate (--learning-rate)"
        )
    return rois


def roi_source(
    detector: FasterRCNN,
    reader: SampleReader,
    rows: Rows,
    schedule: MaskSchedule,
    seed: int,
    set_aside: SetAside,
    frozen: FeatureCache | None = None,
) -> RoiSource:
    """Batches of RoIs from a step on: from memory, or from images as they come, what is frozen from `frozen`'s files
    where there is such a cache."""
    if schedule.cache_rois:
        return CachedRois(cached(detector, reader, rows, schedule, set_aside), schedule, seed)
    world = current_world()
    begin_at_image(detector, world.part(schedule.images_per_batch, "--images-per-batch").start)
    loading = loading_of(schedule, detector)
    samples = TrainingBatches(
        reader, rows, schedule.images_per_batch, seed, schedule.flip, world.rank, world.size, loading
    )
    device = next(detector.parameters()).device

    def batches(start: int) -> Iterator[RoiBatch]:
        for step, batch in enumerate(load_batches(samples, range(start, schedule.steps), device), start):
            torch.manual_seed(step_seed(seed, step))  # the training loop sets it later, for what it does itself
            with in_precision_of(schedule.compute, device):
                rois = sampled_rois(detector, batch, kind=schedule.rois, features=frozen)
            yield rois

    return batches if frozen is None else telling(frozen, batches, len(samples.own))


def cached(
    detector: FasterRCNN, reader: SampleReader, rows: Rows, schedule: MaskSchedule, set_aside: SetAside
) -> RoiBatch:
    """The RoIs of those rows' images, as the schedule caches them; damaged images are set aside."""
    return cache_rois(detector, read_groups(reader, rows, set_aside), schedule.cached_proposals, schedule.rois)
