"""RoIs of a frozen detector in memory: computed once, drawn from at every step."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import fields, replace
from itertools import islice

import torch
from torchvision.models.detection import FasterRCNN
from tqdm import tqdm

from data_prep.format.index import IndexRow
from data_prep.storage.errors import DataError
from maskx_model.data.input_checks import check_features
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.data.samples_ahead import samples_ahead
from maskx_model.data.seeds import step_seed
from maskx_model.data.set_aside import SetAside
from maskx_model.schedules import MaskSchedule, RoiKind
from maskx_model.training.distributed import current_world
from maskx_model.training.roi_sampling import RoiBatch, sampled_rois

CACHE_SEED = 7
"""What is cached does not depend on the training's seed."""
IMAGES_AT_ONCE = 8


def read_groups(
    reader: SampleReader, rows: Sequence[IndexRow], set_aside: SetAside, title: str = "RoI features"
) -> Iterator[list[Sample]]:
    """The samples of those rows, several at once, with a progress bar. Damaged images are set aside; raises DataError
    where there are too many, or no image is left."""
    samples, some = samples_ahead(reader, rows), False
    with closing(samples), tqdm(zip(rows, samples, strict=True), title, len(rows), unit="image", mininterval=1) as read:
        whole = _whole(read, set_aside)
        while group := list(islice(whole, IMAGES_AT_ONCE)):
            some = True
            yield group
    if not some:
        raise DataError(
            f"{reader.dataset.uri}: none of {len(rows)} images can be read; look at the dataset with "
            "`maskx data verify` and prepare it again"
        )


def _whole(read: Iterable[tuple[IndexRow, Sample | DataError]], set_aside: SetAside) -> Iterator[Sample]:
    for row, sample in read:
        if isinstance(sample, DataError):
            set_aside.add(row.key, sample)
        else:
            yield sample


def cache_rois(
    detector: FasterRCNN,
    groups: Iterable[list[Sample]],
    per_object: int,
    kind: RoiKind = "proposals",
    rois_at_most: int | None = None,
) -> RoiBatch:
    """The RoIs of those images in the CPU's memory, wherever the detector is, features as float16.

    Images are read until there are `rois_at_most`. `per_object` and `kind`: as `sampled_rois` takes them.
    Raises DataError for features that are not finite in float16.
    """
    torch.manual_seed(CACHE_SEED)
    parts: list[RoiBatch] = []
    for samples in groups:
        part = sampled_rois(detector, samples, per_object, kind)
        parts.append(replace(part, features=part.features.half()).to(torch.device("cpu")))
        check_features(parts[-1].features, samples)
        if rois_at_most is not None and sum(map(len, parts)) >= rois_at_most:
            break
    columns = ([getattr(part, field.name) for part in parts] for field in fields(RoiBatch))
    return RoiBatch(*(torch.cat(column)[:rois_at_most] for column in columns))


class CachedRois:
    """Batches drawn from cached RoIs: a step's batch is a function of the seed and the step, and a rank has its part.

    Raises DataError where there is no RoI.
    """

    def __init__(self, rois: RoiBatch, schedule: MaskSchedule, seed: int) -> None:
        if len(rois) == 0:
            raise DataError("no object of A with a mask is left to train on; choose other mask classes")
        self.rois, self.schedule, self.seed = rois, schedule, seed

    def __call__(self, start: int) -> Iterator[RoiBatch]:
        for step in range(start, self.schedule.steps):
            generator = torch.Generator().manual_seed(step_seed(self.seed, step))
            rows = torch.randint(len(self.rois), (self.schedule.rois_per_batch,), generator=generator)
            yield self.rois.select(rows[current_world().part(len(rows), "--set stage2.rois_per_batch")])
