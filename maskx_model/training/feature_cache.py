"""What a frozen detector computes of images, on disk: computed once, then mapped into memory.

A file is named by the image's pixels, its folder by the detector and by how it computes. So a mirrored image has its
own file, nothing becomes stale, and trainings of other mask heads on the same detector share the folder.
"""

import hashlib
import logging
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from data_prep.storage.own_files import write_own
from data_prep.storage.storage import write
from maskx_model.artifacts.origin import Origin
from maskx_model.data.samples import Sample
from maskx_model.training.frozen_image import FrozenFeatures, FrozenImage
from maskx_model.training.provenance import settings_hash

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"
LEVEL = "level-"
OF = "of"
"""What a file says that it is of: the hash of `made_from`, that of the pixels, height and width."""


@dataclass
class FeatureCache:
    """A folder of features, which `compute` makes of an image; they are returned on `device`.

    `made_from`: all that they depend on besides the pixels. A file is written whole, by whichever rank computes it. One
    that is torn or of something else is computed again. The bytes of one that is whole are not verified: then all of
    them would have to be read.

    `computed`, `read`, `replaced`: images that were computed, those whose file was read, and of the computed those in
    place of a torn file or another's. `writing`: seconds that writing took.
    """

    folder: Path
    made_from: Origin
    compute: FrozenFeatures
    device: torch.device
    computed: int = 0
    read: int = 0
    replaced: int = 0
    writing: float = 0.0

    @cached_property
    def own(self) -> Path:
        """The folder within `folder` of what is made from the same."""
        return self.folder / self._digest

    @cached_property
    def _digest(self) -> str:
        return settings_hash(self.made_from)[:16]

    def describe(self) -> None:
        """Write what the folder's files are made from beside them, for people."""
        write_own(self.own / "made_from.json", self.made_from)

    def __call__(self, sample: Sample) -> FrozenImage:
        """What `compute` returns for the sample, from its file if there is one.

        Raises StorageError where the disk is full.
        """
        pixels = _pixels_hash(sample)
        path = self.own / pixels[:2] / f"{pixels}{SUFFIX}"
        image = self._read(path, pixels)
        if image is not None:
            self.read += 1
            return image
        image = self.compute(sample)
        tensors = _tensors(image)
        self.computed += 1
        began = time.perf_counter()
        write(path, save(tensors, {OF: self._of(pixels, image.size)}))
        self.writing += time.perf_counter() - began
        return image

    def _of(self, pixels: str, size: tuple[int, int]) -> str:
        return f"{self._digest} {pixels} {size[0]} {size[1]}"

    def _read(self, path: Path, pixels: str) -> FrozenImage | None:
        """The file's image; None where there is no file, or not this one."""
        try:
            with safe_open(path, "pt") as file:
                said = (file.metadata() or {}).get(OF, "")
                size = _size(said)
                if size is not None and said == self._of(pixels, size):
                    return self._image({name: file.get_tensor(name) for name in file.keys()}, size)  # noqa: SIM118
                reason = "it holds something else"
        except FileNotFoundError:
            return None
        except SafetensorError as error:
            reason = str(error)
        self.replaced += 1
        if self.replaced == 1:
            logger.warning("%s: computed again (%s); other such files are counted at the end", path, reason)
        return None

    def _image(self, tensors: dict[str, Tensor], size: tuple[int, int]) -> FrozenImage:
        pyramid = {
            name.removeprefix(LEVEL): level.to(self.device).permute(2, 0, 1)[None]
            for name, level in tensors.items()
            if name.startswith(LEVEL)
        }
        return FrozenImage(pyramid, tensors["proposals"].to(self.device), size)


def _pixels_hash(sample: Sample) -> str:
    """SHA-256 of the image's shape and bytes."""
    return hashlib.sha256(str(sample.image.shape).encode() + sample.image.tobytes()).hexdigest()


def _tensors(image: FrozenImage) -> dict[str, Tensor]:
    """The image's tensors by their names in a file. A position's channels lie side by side, as RoIAlign reads them on a
    CPU: it touches only the pages that have a RoI."""
    assert image.proposals is not None
    levels = {f"{LEVEL}{name}": level[0].permute(1, 2, 0) for name, level in image.pyramid.items()}
    return {name: each.cpu().contiguous() for name, each in {**levels, "proposals": image.proposals}.items()}


def _size(said: str) -> tuple[int, int] | None:
    """The (height, width) at the end of what a file says that it is of; None where there is none."""
    numbers = said.split(" ")[2:]
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 and all(map(str.isdecimal, numbers)) else None
