"""The training loop on batches of images: stage 1 and training end to end."""

from collections.abc import Callable, Iterable, Sequence

from torch import nn

from data_prep.format.index import IndexRow
from maskx_model.config import Schedule
from maskx_model.data.loader import TrainingBatches, load_batches
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.training.loop import CheckpointFolder, train
from maskx_model.training.step import Losses


def train_on_images(
    module: nn.Module,
    reader: SampleReader,
    rows: Sequence[IndexRow],
    loss: Callable[[list[Sample]], Losses],
    schedule: Schedule,
    seed: int,
    title: str,
    checkpoints: CheckpointFolder,
) -> bytes:
    """Train on those rows' images at the schedule's first learning rate; returns the metric lines (`train`)."""
    samples = TrainingBatches(reader, rows, schedule.images_per_batch, seed, schedule.flip)
    device = next(module.parameters()).device

    def batches(start: int) -> Iterable[list[Sample]]:
        return load_batches(samples, range(start, schedule.steps), device)

    def keys(batch: list[Sample]) -> list[str]:
        return [sample.key for sample in batch]

    return train(module, batches, loss, schedule, schedule.learning_rates[0], seed, title, checkpoints, keys)
