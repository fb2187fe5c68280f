"""From a finished dataset to samples and batches of one source's annotations.

Training order: batch `b` is a pure function of (seed, b). Blocks of neighbouring images are shuffled, pools of
some blocks are shuffled within, so that a disk or object store sees sequential reads, any step is found at once, and
an epoch visits every image exactly once.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from webdataset.tariterators import group_by_keys, tar_file_expander

from data_prep.format.images import decode_rgb
from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.format.records import Annotation, Record, Rle, decode_record
from data_prep.format.rle import mirror_mask
from data_prep.storage.storage import read
from maskx_model.config import MaskTargets
from maskx_model.model.crowds import CROWD_LABEL

Box = tuple[float, float, float, float]
"""xyxy in pixels."""


@dataclass(frozen=True)
class Sample:
    """An image with one source's annotations: image uint8 [H, W, 3] RGB, boxes xyxy float32 [N, 4] in pixels,
    labels int64 [N] (1-based; `CROWD_LABEL` for crowds), masks (None where there is none or it is not to be seen).

    `negative` and `not_exhaustive`: labels of the classes known to be absent, and of those of which not every object is
    annotated, each once and in order; empty where the source does not say.
    """

    key: str
    image: npt.NDArray[np.uint8]
    boxes: Tensor
    labels: Tensor
    masks: tuple[Rle | None, ...]
    negative: tuple[int, ...] = ()
    not_exhaustive: tuple[int, ...] = ()

    def image_tensor(self, device: torch.device | None = None) -> Tensor:
        """float32 [3, H, W] in 0..1, on `device` (None: the CPU)."""
        return to_tensor(self.image, device)

    def target(self) -> dict[str, Tensor]:
        """What torchvision's detectors train on, and what a federated loss asks for besides: `negative` and
        `not_exhaustive`, int64."""
        return {
            "boxes": self.boxes,
            "labels": self.labels,
            "negative": torch.tensor(self.negative, dtype=torch.int64),
            "not_exhaustive": torch.tensor(self.not_exhaustive, dtype=torch.int64),
        }


def to_tensor(image: npt.NDArray[np.uint8], device: torch.device | None = None) -> Tensor:
    """uint8 [H, W, 3] → float32 [3, H, W] in 0..1, on `device` (None: the CPU), to which the bytes go."""
    if device is None or device.type == "cpu":
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255
    return torch.from_numpy(image).to(device).permute(2, 0, 1).contiguous().float() / 255


class Reader:
    """Turns rows of a dataset's index into samples of one source, with labels of its vocabulary.

    Masks are dropped here for every class that is not in `mask_classes` (0-based positions): nothing behind the
    loader can see a mask of B. With `targets` `grabcut` all are dropped, and GrabCut makes one of each object's box.
    """

    def __init__(
        self,
        dataset: Dataset,
        source: str,
        mask_classes: frozenset[int] = frozenset(),
        targets: MaskTargets = "masks",
    ) -> None:
        self.dataset = dataset
        self.source = source
        self.mask_classes = mask_classes
        self.targets = targets
        self.index = dataset.vocabulary.index(source)

    def sample(self, row: IndexRow) -> Sample:
        """The image of that row."""
        data, record = self.dataset.read_both(row)
        image = decode_rgb(data, f"{self.dataset.uri}/{row.shard}: {row.key}.jpg")
        return self.from_record(image, record)

    def from_record(self, image: npt.NDArray[np.uint8], record: Record) -> Sample:
        """Clip to the image, map classes to labels, leave out classes outside the vocabulary and empty boxes."""
        kept = [
            (box, a)
            for a in record.objects.get(self.source, [])
            if a.category in self.index and (box := _clipped(a, record)) is not None
        ]
        labels = [CROWD_LABEL if a.iscrowd else self.index[a.category] + 1 for _, a in kept]
        return Sample(
            key=record.key,
            image=image,
            boxes=torch.tensor([box for box, _ in kept], dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor(labels, dtype=torch.int64),
            masks=self._grabcut(image, kept)
            if self.targets == "grabcut"
            else tuple(
                a.mask if label - 1 in self.mask_classes else None for label, (_, a) in zip(labels, kept, strict=True)
            ),
            negative=self._labels(record.negative),
            not_exhaustive=self._labels(record.not_exhaustive),
        )

    def _labels(self, names: Mapping[str, list[str]]) -> tuple[int, ...]:
        own = names.get(self.source, [])
        return tuple(sorted({self.index[name] + 1 for name in own if name in self.index}))

    def _grabcut(self, image: npt.NDArray[np.uint8], kept: Sequence[tuple[Box, Annotation]]) -> tuple[Rle | None, ...]:
        from maskx_model.masks.grabcut import grabcut_masks

        boxes = np.array([box for box, _ in kept]).reshape(-1, 4)
        masks = grabcut_masks(image, boxes).masks
        return tuple(None if a.iscrowd else mask for mask, (_, a) in zip(masks, kept, strict=True))


def _clipped(annotation: Annotation, record: Record) -> Box | None:
    x, y, width, height = annotation.bbox
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(record.width)), min(y + height, float(record.height))
    return (left, top, right, bottom) if right - left >= 1e-2 and bottom - top >= 1e-2 else None


def mirrored(sample: Sample) -> Sample:
    """The sample seen in a mirror. Masks go along."""
    width = sample.image.shape[1]
    boxes = sample.boxes.clone()
    boxes[:, 0], boxes[:, 2] = width - sample.boxes[:, 2], width - sample.boxes[:, 0]
    return replace(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        boxes=boxes,
        masks=tuple(mask and mirror_mask(mask) for mask in sample.masks),
    )


def iterate(dataset: Dataset, split: str, source: str) -> Iterator[tuple[npt.NDArray[np.uint8], Record]]:
    """Every image of a split that `source` has annotated, in the shards' order, read as a WebDataset stream:
    image uint8 [H, W, 3] RGB and its record. Raises DataError if there is none."""
    parts = {row.part for row in dataset.select(split, source)}
    uris = [
        f"{dataset.uri}/{shard.path}"
        for shard in dataset.manifest.shards
        if shard.split == split and shard.part in parts
    ]
    streams = ({"url": uri, "stream": io.BytesIO(read(uri))} for uri in uris)
    for item in group_by_keys(tar_file_expander(streams)):
        record = decode_record(item["json"])
        yield decode_rgb(item["jpg"], f"{item['__url__']}: {record.key}.jpg"), record
