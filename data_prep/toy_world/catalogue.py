"""List the toy world's images: in which files each is, and under which ids.

Everything here follows from the image's number alone, by fixed strides, so that every trouble of the
real files occurs in the smallest world too and a larger world only adds images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from data_prep.toy_world.classes import STYLES, Style

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
Damage = Literal["none", "truncated", "missing"]

_FIRST_COCO_ID = {"train": 0, "val": 500_000}  # COCO's ids are one space over its splits
_FIRST_VG_ID = {"train": 2_000_000, "val": 2_300_000}
_FIRST_FLICKR_ID = {"train": 3_000_000_000, "val": 8_000_000_000}
_TRUNCATED_IN_COCO, _TRUNCATED_IN_VG, _MISSING_IN_VG = 6, 5, 8  # numbers of images in that one source only
SMALLEST_IMAGES, SMALLEST_VAL_IMAGES = 20, 5  # fewer, and some troubles would not occur


@dataclass(frozen=True)
class Entry:
    """An image by split and number (from 1), before it is drawn."""

    split: Split
    number: int

    @property
    def in_coco(self) -> bool:
        """True for all of val, and in train for 25 % that COCO has alone and 35 % that both have."""
        return self.split == "val" or self._shuffled_twentieth < 12

    @property
    def in_visual_genome(self) -> bool:
        """True for a quarter of val, and in train for the 35 % that both have and 40 % that Visual Genome has alone."""
        return self.number % 4 == 1 if self.split == "val" else self._shuffled_twentieth >= 5

    @property
    def _shuffled_twentieth(self) -> int:
        return self.number * 7 % 20

    @property
    def with_crowd(self) -> bool:
        return self.number % 48 == (9 if self.split == "train" else 4)

    @property
    def coco_id(self) -> int:
        return _FIRST_COCO_ID[self.split] + self.number

    @property
    def vg_id(self) -> int:
        return _FIRST_VG_ID[self.split] + self.number

    @property
    def flickr_id(self) -> int:
        return _FIRST_FLICKR_ID[self.split] + 7919 * self.number

    @property
    def vg_knows_coco_id(self) -> bool:
        """False where COCO lacks the image and for some that it has: an id test misses those."""
        if self.split == "train":
            return self.in_coco and self.number % 11 != 4
        return self.number % 20 != 1 and self.vg_knows_flickr_id

    @property
    def vg_knows_flickr_id(self) -> bool:
        """False for some of Visual Genome's own, and for few of val: only content shows what those are."""
        if self.split == "train":
            return self.in_coco or self.number % 13 != 2
        return self.number % 80 != 5

    @property
    def coco_damage(self) -> Damage:
        return "truncated" if self.split == "train" and self.number == _TRUNCATED_IN_COCO else "none"

    @property
    def vg_damage(self) -> Damage:
        if self.split == "val":
            return "none"
        damages: dict[int, Damage] = {_TRUNCATED_IN_VG: "truncated", _MISSING_IN_VG: "missing"}
        return damages.get(self.number, "none")

    @property
    def coco_path(self) -> str:
        return f"coco/{self.split}2017/{self.coco_id:012d}.jpg"

    @property
    def vg_path(self) -> str:
        return f"visual_genome/VG_100K{'' if self.vg_id % 2 else '_2'}/{self.vg_id}.jpg"

    def random(self, seed: int, style: Style, purpose: Literal["drawing", "vg_copy"]) -> np.random.Generator:
        """A random generator for this image alone, so that no image depends on the number of others."""
        purposes = {"drawing": 0, "vg_copy": 1}
        return np.random.default_rng(
            [seed, STYLES.index(style), SPLITS.index(self.split), self.number, purposes[purpose]]
        )


def entries(images: int, val_images: int) -> Iterator[Entry]:
    """All images, the training side first."""
    train = (Entry("train", number) for number in range(1, images + 1))
    return chain(train, (Entry("val", number) for number in range(1, val_images + 1)))
