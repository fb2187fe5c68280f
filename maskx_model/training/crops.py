"""Before a detector without ImageNet weights learns to detect, it learns to classify crops of annotated boxes.

Not in the paper, whose detectors begin with ImageNet weights (§4.1): this stands in for them. A step of detection shows
a few dozen objects among hundreds of anchors and RoIs; a step here shows 64, at less than half the cost.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import FasterRCNN
from torchvision.transforms.v2 import functional as transforms
from tqdm import tqdm

from data_prep.format.index import IndexRow
from data_prep.storage.errors import DataError
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.data.samples_ahead import samples_ahead
from maskx_model.data.seeds import step_seed
from maskx_model.schedules import CropSchedule
from maskx_model.training.distributed import current_world
from maskx_model.training.loop import train
from maskx_model.training.metric_sink import Observers
from maskx_model.training.provenance import settings_hash
from maskx_model.training.session import REHEARSED_IMAGES, Session
from maskx_model.training.task import Measured, Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crops:
    """Crops of annotated boxes: pixels uint8 [N, 3, S, S] RGB, and their labels, int64 [N], from 1."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def learn_crops(
    detector: FasterRCNN,
    reader: SampleReader,
    rows: Sequence[IndexRow],
    schedule: CropSchedule,
    seed: int,
    session: Session,
) -> None:
    """Train the detector's backbone, box head and classifier on crops; its RPN and box regression stay as they are.

    Nothing is done where the schedule has no step, or a checkpoint of the detector's own training is there. Raises
    DataError where no crop can be made, and what the training loop raises.
    """
    if schedule.steps == 0 or (session.checkpoints is not None and session.checkpoints.latest() is not None):
        return
    sink = session.observers.sink
    own = replace(session.below("crops", {"crops": settings_hash(schedule)}), observers=Observers(sink))
    crops = read_crops(reader, rows[:REHEARSED_IMAGES] if session.rehearsal else rows, schedule, seed)
    classifier = CropClassifier(detector)
    device = next(classifier.parameters()).device

    def batches(start: int) -> Iterator[Crops]:
        for step in range(start, schedule.steps):
            drawn = draw_crops(crops, schedule.crops_per_batch, step_seed(seed, step))
            part = current_world().part(schedule.crops_per_batch, "--set crops.crops_per_batch")
            yield Crops(drawn.pixels[part].to(device), drawn.labels[part].to(device))

    def loss(batch: Crops) -> Measured:
        value = F.cross_entropy(classifier(batch.pixels), batch.labels)
        return Measured({"loss_crops": value}, {"loss_crops": len(batch)})

    task = Task("crops", classifier, batches, loss, "crops")
    if sink is not None:
        sink.begin("crops")
    train(task, schedule.schedule(), schedule.learning_rate, seed, own)
    if sink is not None:
        sink.begin("")


def read_crops(reader: SampleReader, rows: Sequence[IndexRow], schedule: CropSchedule, seed: int) -> Crops:
    """The crops of the images, in an order drawn by the seed; no more of them than the schedule can show.

    A damaged image is left out, with a warning: the training of the detector counts it. Raises DataError if there is no
    crop.
    """
    needed = schedule.steps * schedule.crops_per_batch
    pixels: list[Tensor] = []
    labels: list[Tensor] = []
    order = np.random.default_rng(seed).permutation(len(rows))
    samples = samples_ahead(reader, (rows[int(number)] for number in order))
    quiet = not current_world().is_first
    with closing(samples), tqdm(desc="crops", total=len(order), unit="image", mininterval=1, disable=quiet) as progress:
        for sample in samples:
            progress.update()
            if isinstance(sample, DataError):
                logger.warning("%s; crops are made of the other images", sample)
                continue
            pixels += crops_of(sample, schedule.size)
            labels.append(sample.labels[sample.labels > 0])
            if len(pixels) >= needed:
                break
    if not pixels:
        raise DataError(f"{reader.dataset.uri}: no training image of source {reader.source!r} gives a crop")
    return Crops(torch.stack(pixels), torch.cat(labels))


def crops_of(sample: Sample, size: int) -> list[Tensor]:
    """The sample's objects, each uint8 [3, size, size]; crowds are left out. A box reaches to the next whole pixels."""
    image = torch.from_numpy(np.ascontiguousarray(sample.image.transpose(2, 0, 1)))
    boxes = sample.boxes[sample.labels > 0]
    edges = torch.cat([boxes[:, :2].floor(), boxes[:, 2:].ceil()], dim=1).long().tolist()
    return [
        transforms.resize(image[:, top:bottom, left:right], [size, size], antialias=True)
        for left, top, right, bottom in edges
    ]


def draw_crops(crops: Crops, count: int, seed: int) -> Crops:
    """A batch: crops drawn with replacement, every other one mirrored at random."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(crops), (count,), generator=generator)
    mirrored = torch.rand(count, generator=generator) < 0.5
    pixels = crops.pixels[drawn]
    return Crops(torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels), crops.labels[drawn])


class CropClassifier(nn.Module):
    """The layers of a detector that classify a RoI, applied to crops: the RoI is the whole crop."""

    def __init__(self, detector: FasterRCNN) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.box_head = detector.roi_heads.box_head
        self.cls_score = detector.roi_heads.box_predictor.cls_score
        self._normalize = detector.transform.normalize
        self._pool = detector.roi_heads.box_roi_pool

    def forward(self, crops: Tensor) -> Tensor:
        """uint8 [N, 3, S, S] → logits float32 [N, K + 1], background's first."""
        size = crops.shape[2]
        images = self._normalize(crops.float() / 255).contiguous(memory_format=torch.channels_last)
        whole = [crops.new_tensor([[0, 0, size, size]], dtype=torch.float32)] * len(crops)
        vectors = self.box_head(self._pool(self.backbone(images), whole, [(size, size)] * len(crops)))
        logits: Tensor = self.cls_score(vectors)
        return logits
