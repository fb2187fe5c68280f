"""Images with known objects, and small detectors whose weights are not at their starting point."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from pycocotools import mask as rle_codec
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from data_prep.format.index import IndexRow
from data_prep.format.records import Record, Rle
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample
from maskx_model.model.detector import build_detector
from maskx_model.training.stage2 import freeze
from tests.maskx_model.tiny_presets import DETECTOR


def rle(bitmap: npt.NDArray[np.bool_]) -> Rle:
    """A bitmap [H, W] as compressed run lengths."""
    encoded = rle_codec.encode(np.asfortranarray(bitmap, dtype=np.uint8))
    return Rle((bitmap.shape[0], bitmap.shape[1]), encoded["counts"].decode())


def bitmap(mask: Rle) -> npt.NDArray[np.bool_]:
    """The inverse of `rle`."""
    decoded: npt.NDArray[np.uint8] = rle_codec.decode({"size": list(mask.size), "counts": mask.counts})
    return decoded.astype(bool)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows_with_gradient(gradient: Tensor | None) -> set[int]:
    """The rows in which a gradient is not zero."""
    assert gradient is not None
    return set(gradient.flatten(1).any(1).nonzero()[:, 0].tolist())


def with_other_masks(record: Record, of: set[str]) -> Record:
    """The record with every mask of those classes replaced by the image's left half."""
    left = np.zeros((record.height, record.width), dtype=bool)
    left[:, : record.width // 2] = True
    objects = [msgspec.structs.replace(a, mask=rle(left)) if a.category in of else a for a in record.objects["coco"]]
    return Record(record.key, record.width, record.height, record.ids, {**record.objects, "coco": objects})


def read_sample(reader: SampleReader, row: IndexRow) -> Sample:
    """The sample of that row's image, read alone."""
    return reader.from_record(*reader.dataset.read_both(row))


def sample(
    boxes: Sequence[tuple[float, float, float, float]],
    labels: Sequence[int],
    masks: Sequence[Rle | None] | None = None,
    size: tuple[int, int] = (64, 64),
    seed: int = 0,
) -> Sample:
    """An image of noise, `size` (height, width), with those objects."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    return Sample(
        key=f"coco-{seed:012d}",
        image=pixels,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=tuple(masks) if masks is not None else (None,) * len(boxes),
    )


def busy_samples(seed: int, count: int = 2, classes: int = 5, size: tuple[int, int] | None = None) -> list[Sample]:
    """Images of several sizes, or of one (height, width), each with four objects whose masks are ellipses."""
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        height, width = size or (int(n) for n in rng.integers(60, 100, 2))
        corner = rng.uniform(0, 30, (4, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(15, 30, (4, 2))], axis=1).round(2)
        masks = [rle(_ellipse(box, height, width)) for box in boxes]
        labels = rng.integers(1, classes + 1, 4).tolist()
        samples.append(sample(boxes.tolist(), labels, masks, (height, width), seed * 100 + number))
    return samples


def new_detector(num_classes: int = 5, seed: int = 0) -> FasterRCNN:
    """A slim detector, in training mode, whose box head has an opinion of every class."""
    torch.manual_seed(seed)
    detector = build_detector(DETECTOR, num_classes, load_weights=False)
    torch.manual_seed(seed)  # so that the class weights do not depend on what the backbone is made of
    for parameter in detector.roi_heads.box_predictor.parameters():
        nn.init.normal_(parameter, std=0.2)
    return detector


def frozen_detector(num_classes: int = 5, seed: int = 0) -> FasterRCNN:
    """As `new_detector`, as stage 2 finds it."""
    detector = new_detector(num_classes, seed)
    freeze(detector)
    return detector


def _ellipse(box: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[:height, :width] + 0.5
    x1, y1, x2, y2 = box
    inside: npt.NDArray[np.bool_] = ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= 1
    return inside
