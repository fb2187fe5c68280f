"""The training loop on batches of images: stage 1 and training end to end."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

from torch import nn
from torchvision.models.detection import FasterRCNN

from data_prep.format.rows import Rows
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.loading import loading_of
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.model.sampling import begin_at_image
from maskx_model.schedules import Schedule
from maskx_model.training.distributed import current_world
from maskx_model.training.loop import train
from maskx_model.training.session import Session
from maskx_model.training.task import Measured, Task

TITLES = {"stage1": "stage 1", "joint": "end to end"}


def train_on_images(
    module: nn.Module,
    detector: FasterRCNN,
    reader: SampleReader,
    rows: Rows,
    loss: Callable[[list[Sample]], Measured],
    schedule: Schedule,
    seed: int,
    group: Literal["stage1", "joint"],
    session: Session,
) -> bytes:
    """Train on those rows' images at the schedule's first learning rate; returns the metric lines (`train`).

    `detector`: the one within the module that samples anchors and RoIs. `group`: of the configuration, `schedule`'s.
    """
    world = current_world()
    begin_at_image(detector, world.part(schedule.images_per_batch, "--images-per-batch").start)
    loading = loading_of(schedule, detector)
    samples = TrainingBatches(
        reader, rows, schedule.images_per_batch, seed, schedule.flip, world.rank, world.size, loading
    )
    device = next(module.parameters()).device

    def batches(start: int) -> Iterable[list[Sample]]:
        return load_batches(samples, range(start, schedule.steps), device)

    task = Task(TITLES[group], module, batches, loss, group, keys, shapes)
    return train(task, schedule, schedule.learning_rates[0], seed, session)


def shapes(batch: list[Sample]) -> str:
    """The sizes of the batch's images and the number of their objects."""
    sizes = Counter(f"{sample.image.shape[1]}×{sample.image.shape[0]}" for sample in batch)
    images = ", ".join(f"{count} of {size}" for size, count in sorted(sizes.items()))
    return f"{len(batch)} images ({images}) with {sum(len(sample.labels) for sample in batch)} objects"


def keys(batch: list[Sample]) -> list[str]:
    """The keys of the batch's images."""
    return [sample.key for sample in batch]
