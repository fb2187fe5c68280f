"""The cache of features that a training of stage 2 uses: opened where there is room, with its savings told."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torchvision.models.detection import FasterRCNN

from data_prep.format.rows import Rows
from data_prep.storage.errors import ConfigError
from data_prep.storage.storage import local_path
from maskx_model.artifacts.code_versions import code_versions
from maskx_model.artifacts.origin import PACKAGES
from maskx_model.config import Compute
from maskx_model.model.compute import in_precision_of
from maskx_model.schedules import MaskSchedule
from maskx_model.training.distributed import current_world
from maskx_model.training.feature_cache import FeatureCache
from maskx_model.training.feature_room import check_room, room_for
from maskx_model.training.frozen_image import frozen_image
from maskx_model.training.learning_rate import RoiSource
from maskx_model.training.roi_sampling import RoiBatch

logger = logging.getLogger(__name__)

MEASURED = 8
"""Steps from files before it is told what they save."""


@dataclass(frozen=True)
class FeatureFolder:
    """A folder on disk for features, and the hash of the detector's model folder that they are of."""

    folder: str
    detector: str


def check_cache_fits(schedule: MaskSchedule) -> None:
    """Raises ConfigError for a training that cannot use cached features."""
    if schedule.cache_rois:
        raise ConfigError(
            "--cache-features: this training has its RoIs in memory and computes no features as it goes; leave "
            "the option out, or train on images (--set stage2.cache_rois=false)"
        )
    if schedule.jitter:
        raise ConfigError(
            f"--cache-features: with stage2.jitter {schedule.jitter} an image never comes twice as it was; leave the "
            "option out, or --set stage2.jitter=0"
        )


def opened_cache(
    own: FeatureFolder, detector: FasterRCNN, rows: Rows, schedule: MaskSchedule, rehearsal: bool
) -> FeatureCache | None:
    """The cache for a training on these rows, None for a rehearsal, which writes nothing.

    Tells what it takes; raises ConfigError where it does not fit on the disk, or is not on a disk. All ranks call this.
    """
    check_cache_fits(schedule)
    device = next(detector.parameters()).device
    precision = _precision(schedule.compute, device)
    made_from = {
        "detector": own.detector,
        "precision": str(precision),
        "compiled": int(schedule.compute.compile_backbone),
        "device": device.type,
        **{name: version for name, version in code_versions().items() if name in PACKAGES},
    }
    folder = local_path(own.folder)
    cache = FeatureCache(folder, made_from, partial(frozen_image, detector), device)
    sizes = zip(rows.numbers("width").tolist(), rows.numbers("height").tolist(), strict=True)
    seen = schedule.steps * schedule.images_per_batch
    check_room(folder, room_for(cache.own, detector, sizes, schedule.flip, precision, seen), schedule.flip)
    if rehearsal:
        return None
    cache.describe()
    return cache


def telling(cache: FeatureCache, batches: RoiSource, images: int) -> RoiSource:
    """The same batches, of so many images each. The log has what reading saves as soon as it is measured, and in the
    end what was computed and read."""

    def told(start: int) -> Iterator[RoiBatch]:
        savings = Savings(images)
        coming = iter(batches(start))
        try:
            while (batch := savings.measured(cache, coming)) is not None:
                yield batch
        finally:
            _tell(summary(cache))

    return told


class Savings:
    """What a step's RoIs cost where their images' features are all computed, and where all are read."""

    def __init__(self, images: int) -> None:
        self.images = images
        self._seconds: dict[bool, list[float]] = {True: [], False: []}

    def measured(self, cache: FeatureCache, coming: Iterator[RoiBatch]) -> RoiBatch | None:
        """The next batch, its time taken; once there are enough the log has the difference. None after the last."""
        computed, writing, began = cache.computed, cache.writing, time.perf_counter()
        batch = next(coming, None)
        seconds = time.perf_counter() - began - (cache.writing - writing)
        if batch is not None and (new := cache.computed - computed) in (0, self.images):
            own = self._seconds[new == 0]
            own.append(seconds)
            if new == 0 and len(own) == MEASURED:
                _tell(self.in_words())
        return batch

    def in_words(self) -> str:
        """What a step takes, and saves; the first computed one is left out, which warms up."""
        read, computed = self._seconds[True], self._seconds[False][1:]
        said = f"a step's RoIs take {_time(median(read))} with features from files"
        if not computed:
            return said
        saved = median(computed) - median(read)
        return (
            f"{said}, {_time(median(computed))} with computed ones: a step of {self.images} images "
            f"{'saves' if saved > 0 else 'loses'} {_time(abs(saved))}"
        )


def summary(cache: FeatureCache) -> str:
    """What was computed, written and read, in words."""
    replaced = f", {cache.replaced} in place of a file that was torn or of something else" if cache.replaced else ""
    written = f", written in {_time(cache.writing / cache.computed)} each" if cache.computed else ""
    return f"features of {cache.computed} images computed{written}{replaced}; of {cache.read} images read"


def _tell(text: str) -> None:
    if current_world().is_first:
        logger.info("feature cache: %s", text)


def _time(count: float) -> str:
    return f"{count:.1f} s" if count >= 1 else f"{1000 * count:.1f} ms"


def _precision(compute: Compute, device: torch.device) -> torch.dtype:
    """What the pyramid is computed in."""
    with in_precision_of(compute, device):
        on = torch.is_autocast_enabled(device.type)
        return torch.get_autocast_dtype(device.type) if on else torch.float32
