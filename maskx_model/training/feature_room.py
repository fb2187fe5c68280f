"""What a cache of features will take on disk, and whether there is room for it."""

import logging
import math
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.models.detection import FasterRCNN

from data_prep.storage.errors import ConfigError
from maskx_model.training.distributed import current_world
from maskx_model.training.feature_cache import SUFFIX

logger = logging.getLogger(__name__)

PADDED_TO = 32
"""The network's image is padded to a multiple of this."""


@dataclass(frozen=True)
class Room:
    """What a cache takes. `files`: its files when it is full; `each`: bytes of one, in the mean; `there`: bytes that
    stand there already; `free`: bytes that are free on its disk."""

    files: int
    each: float
    there: int
    free: int

    @property
    def missing(self) -> float:
        """Bytes that do not fit, below 0 where all do."""
        return self.files * self.each - self.there - self.free


def image_bytes(detector: FasterRCNN, width: int, height: int, precision: torch.dtype) -> int:
    """Bytes of the file of an image of that size, but for its header: the levels in `precision`, and as many proposals
    as the detector finds at most."""
    resized, _ = detector.transform.resize(torch.empty(3, height, width, device="meta"))
    padded = [-(-side // PADDED_TO) * PADDED_TO for side in resized.shape[-2:]]
    positions = 0
    for scale in detector.roi_heads.box_roi_pool.scales:
        positions += math.ceil(padded[0] * scale) * math.ceil(padded[1] * scale)
    channels: int = detector.backbone.out_channels
    proposals: int = detector.rpn.post_nms_top_n()
    return positions * channels * precision.itemsize + proposals * 4 * 4


def room_for(
    folder: Path,
    detector: FasterRCNN,
    sizes: Iterable[tuple[int, int]],
    flip: bool,
    precision: torch.dtype,
    seen_at_most: int,
) -> Room:
    """What a cache in that folder takes of images of these sizes (width, height), and of their mirror images with
    `flip`; a training that sees `seen_at_most` images fills no more files."""
    counts = Counter(sizes)
    each = sum(image_bytes(detector, *size, precision) * count for size, count in counts.items()) / counts.total()
    there = sum(path.stat().st_size for path in folder.rglob(f"*{SUFFIX}"))
    disk = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    files = min(counts.total() * (2 if flip else 1), seen_at_most)
    return Room(files, each, there, shutil.disk_usage(disk).free)


def check_room(folder: Path, room: Room, flip: bool) -> None:
    """Tells what the cache takes; raises ConfigError, on all ranks, if it does not fit on the disk of one.

    All ranks must call it.
    """
    told = (
        f"{room.files} files of {_bytes(room.each)} take {_bytes(room.files * room.each)}, "
        f"{_bytes(room.there)} are there, {_bytes(room.free)} are free"
    )
    world = current_world()
    lacking = world.exchange(f"{told}: {_bytes(room.missing)} are missing" if room.missing > 0 else "")
    if any(lacking):
        rank, problem = next((rank, text) for rank, text in enumerate(lacking) if text)
        where = f" (rank {rank})" if world.size > 1 else ""
        halved = ", or train without mirrored images, which halves it (--set stage2.flip=false)" if flip else ""
        raise ConfigError(
            f"--cache-features {folder}{where}: {problem}; name a folder on a larger disk{halved}, or leave "
            "--cache-features out"
        )
    if world.is_first:
        logger.info("feature cache %s: %s", folder, told)


def _bytes(count: float) -> str:
    unit, name = next((u, n) for u, n in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if count >= u or n == "kB")
    return f"{count / unit:.1f} {name}"
