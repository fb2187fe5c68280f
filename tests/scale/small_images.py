"""As many images as COCO 2017 and Visual Genome have, each real and some 60 pixels wide.

Crops of the real sample's images are encoded once and linked under many names. What must come of them follows
from their numbers alone, so that it can be counted without preparing anything.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

TRAIN, VAL, GENOME = 118_000, 5_000, 103_000
FIRST_VAL, FIRST_GENOME = 200_000, 300_000
WIDTH, HEIGHT = 64, 48
CROPS = 12
# Of Visual Genome's images these many are, in this order: COCO's training images, its validation images by
# their COCO id, those by their Flickr id alone; the others stand alone.
COPIES_OF_TRAIN, COPIES_OF_VAL, SAME_FLICKR_ID = 51_000, 2_000, 500
CLASSES = 80
SYNSETS = 400


@dataclass
class Expected:
    """What the dataset must say: images by (split, part), objects kept by source, images rejected by source,
    and objects of Visual Genome without a synset and without a size."""

    images: dict[tuple[str, str], int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=lambda: {"coco": 0, "vg": 0})
    unreadable: dict[str, int] = field(default_factory=lambda: {"coco": 0, "vg": 0})
    no_synset: int = 0
    zero_size: int = 0

    def add(self, split: str, part: str) -> None:
        self.images[split, part] = self.images.get((split, part), 0) + 1


@dataclass(frozen=True)
class _ImageFiles:
    """Image files. No training file shows a crop of an image that a validation file shows."""

    train: list[Path]
    val: list[Path]
    damaged: Path

    def of(self, number: int, val: bool) -> Path:
        files = self.val if val else self.train
        return self.damaged if is_damaged(number) else files[number % len(files)]


def is_damaged(number: int) -> bool:
    """Whether the file of the image with this id is cut off: one in a thousand."""
    return number % 1000 == 7


def write_small_images(sample: Path, out: Path) -> Expected:
    """Write `coco/` and `visual_genome/` in their own layouts below `out`; returns what must come of them."""
    files = _encode(sample, out / "files")
    expected = Expected()
    _write_coco(out / "coco", files, expected)
    _write_genome(out / "visual_genome", files, expected)
    return expected


def _encode(sample: Path, folder: Path) -> _ImageFiles:
    folder.mkdir(parents=True)
    originals = sorted((sample / "coco").glob("*2017/*.jpg"))
    random = np.random.default_rng(0)
    files: dict[bool, list[Path]] = {False: [], True: []}
    for number, original in enumerate(originals):
        with Image.open(original) as opened:
            image = opened.convert("RGB")
        for crop in range(CROPS):
            path = folder / f"{number}-{crop}.jpg"
            path.write_bytes(_crop(image, random))
            files[number % 10 == 0].append(path)
    damaged = folder / "damaged.jpg"
    damaged.write_bytes(files[False][0].read_bytes()[:-200])
    return _ImageFiles(files[False], files[True], damaged)


def _crop(image: Image.Image, random: np.random.Generator) -> bytes:
    width = int(random.integers(image.width // 2, image.width))
    height = min(image.height, width * HEIGHT // WIDTH)
    x = int(random.integers(0, image.width - width + 1))
    y = int(random.integers(0, image.height - height + 1))
    buffer = io.BytesIO()
    box = (x, y, x + width, y + height)
    image.resize((WIDTH, HEIGHT), Image.Resampling.BOX, box=box).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _write_coco(folder: Path, files: _ImageFiles, expected: Expected) -> None:
    for split, ids in (("train", range(1, TRAIN + 1)), ("val", range(FIRST_VAL, FIRST_VAL + VAL))):
        images = folder / f"{split}2017"
        images.mkdir(parents=True)
        for number in ids:
            os.link(files.of(number, split == "val"), images / f"{number:012d}.jpg")
            if is_damaged(number):
                expected.unreadable["coco"] += 1
                continue
            expected.objects["coco"] += number % 5
            if not _is_copied(number):
                expected.add(split, "coco")
        records = {
            "images": [_coco_image(number) for number in ids],
            "annotations": [annotation for number in ids for annotation in _coco_objects(number)],
            "categories": [{"id": 1 + c, "name": f"thing {c}"} for c in range(CLASSES)],
        }
        _write_json(folder / "annotations" / f"instances_{split}2017.json", records)


def _is_copied(number: int) -> bool:
    """Whether Visual Genome has the COCO image with this id too."""
    return number <= COPIES_OF_TRAIN or 0 <= number - FIRST_VAL < COPIES_OF_VAL + SAME_FLICKR_ID


def _coco_image(number: int) -> dict[str, Any]:
    name = f"{number:012d}.jpg"
    flickr = f"http://farm1.staticflickr.com/1/{number}_abc_z.jpg"
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, "flickr_url": flickr, "license": 1}


def _coco_objects(number: int) -> Iterator[dict[str, Any]]:
    for k in range(number % 5):
        x, y, size = 4 + 9 * k, 3 + 7 * k, 10 + number % 8
        polygon = [x, y, x + size, y, x + size, y + size, x, y + size]
        yield {
            "id": 10 * number + k,
            "image_id": number,
            "category_id": 1 + (number * 7 + k * k) % CLASSES,
            "bbox": [x, y, size, size],
            "area": size * size,
            "iscrowd": 0,
            "segmentation": [polygon],
        }


def _write_genome(folder: Path, files: _ImageFiles, expected: Expected) -> None:
    images, records = [], []
    for name in ("VG_100K", "VG_100K_2"):
        (folder / name).mkdir(parents=True)
    for position in range(GENOME):
        number = FIRST_GENOME + position
        original = _original(position)
        subfolder = folder / ("VG_100K" if number % 2 else "VG_100K_2")
        os.link(
            files.of(original or number, original is not None and original >= FIRST_VAL), subfolder / f"{number}.jpg"
        )
        images.append(_genome_image(position, original))
        objects = list(_genome_objects(number, scale=1 if original is None else 2))
        records.append({"image_id": number, "objects": objects})
        _expect_genome(expected, number, original, objects)
    _write_json(folder / "image_data.json", images)
    _write_json(folder / "objects.json", records)


def _original(position: int) -> int | None:
    """The id of the COCO image that this image of Visual Genome is."""
    if position < COPIES_OF_TRAIN:
        return position + 1
    copied = position - COPIES_OF_TRAIN
    return FIRST_VAL + copied if copied < COPIES_OF_VAL + SAME_FLICKR_ID else None


def _genome_image(position: int, original: int | None) -> dict[str, Any]:
    """Copies are listed at twice COCO's size, so that their boxes have to be scaled."""
    number, scale = FIRST_GENOME + position, 1 if original is None else 2
    known_by_coco_id = original is not None and position < COPIES_OF_TRAIN + COPIES_OF_VAL
    return {
        "image_id": number,
        "url": f"https://example.org/{number}.jpg",
        "width": scale * WIDTH,
        "height": scale * HEIGHT,
        "coco_id": original if known_by_coco_id else None,
        "flickr_id": number if original is None else original,
    }


def _genome_objects(number: int, scale: int) -> Iterator[dict[str, Any]]:
    for k in range(number % 7):
        rank = int(SYNSETS * ((number * 31 + k * 17) % 1009 / 1009) ** 3)
        yield {
            "object_id": 10 * number + k,
            "x": scale * (2 + 6 * k),
            "y": scale * (3 + 4 * k),
            "w": 0 if (number + k) % 997 == 0 else scale * 12,
            "h": scale * 9,
            "synsets": [] if (number + k) % 50 == 1 else [f"concept_{rank}.n.01"],
            "names": [f"concept {rank}"],
            "merged_object_ids": [],
        }


def _expect_genome(expected: Expected, number: int, original: int | None, objects: list[dict[str, Any]]) -> None:
    if is_damaged(original or number):
        expected.unreadable["vg"] += original is None
        return
    split = "train" if original is None or original < FIRST_VAL else "val"
    expected.add(split, "vg" if original is None else "coco+vg")
    for thing in objects:
        if not thing["synsets"]:
            expected.no_synset += 1
        elif not thing["w"]:
            expected.zero_size += 1
        else:
            expected.objects["vg"] += 1


def _write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(document))
