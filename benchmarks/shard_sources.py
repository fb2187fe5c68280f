"""COCO's and Visual Genome's layouts with as many of the real sample's images as asked for, under many names."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.real_sample import Pixels, RealImage, jpeg, resized

FIRST_VAL, FIRST_GENOME = 300_000, 500_000
LONG_EDGE = 500
OBJECTS = 35


def write_sources(folder: Path, sample: list[RealImage], each: int, held_out: int) -> tuple[str, str]:
    """Write `each` images of each part (COCO's alone, both's, Visual Genome's alone), and `held_out` of validation.

    Returns both sources as `prepare` takes them.
    """
    coco, genome = folder / "coco", folder / "visual_genome"
    categories = sorted({a["category_id"] for image in sample for a in image.annotations})
    listed = [{"id": c, "name": f"thing {c}"} for c in categories]
    named = {1 + n: sample[n % len(sample)] for n in range(2 * each)}
    _write_training(coco, named, listed)
    _write_held_out(coco, sample, held_out, listed)
    # The second half of COCO's are in Visual Genome too, and as many others.
    of_both = {FIRST_GENOME + n: image for n, image in named.items() if n > each}
    alone = {FIRST_GENOME + 2 * each + n: sample[n % len(sample)] for n in range(1, each + 1)}
    _write_genome(genome, {**of_both, **alone}, {number: number - FIRST_GENOME for number in of_both})
    return f"coco=coco:{coco}", f"vg=vg:{genome}"


def _write_training(coco: Path, named: dict[int, RealImage], categories: list[Any]) -> None:
    images: list[Any] = []
    annotations: list[Any] = []
    (coco / "train2017").mkdir(parents=True)
    for number, image in named.items():
        name = f"{number:012d}.jpg"
        shutil.copyfile(image.path, coco / "train2017" / name)
        images.append({**image.record, "id": number, "file_name": name, "flickr_url": None})
        for annotation in image.annotations:
            annotations.append({**annotation, "id": len(annotations) + 1, "image_id": number})
    _write_list(coco, "train", images, annotations, categories)


def _write_held_out(coco: Path, sample: list[RealImage], number: int, categories: list[Any]) -> None:
    """Windows of the sample's images, half of them mirrored: like them, and copies of none."""
    (coco / "val2017").mkdir()
    images = []
    for n in range(number):
        window = _window(sample[n % len(sample)].pixels(), np.random.default_rng(n))
        name = f"{FIRST_VAL + n:012d}.jpg"
        (coco / "val2017" / name).write_bytes(jpeg(window, 85))
        height, width, _ = window.shape
        images.append({"id": FIRST_VAL + n, "file_name": name, "width": width, "height": height})
    _write_list(coco, "val", images, [], categories)


def _window(pixels: Pixels, random: np.random.Generator) -> Pixels:
    height, width, _ = pixels.shape
    share = random.uniform(0.4, 0.8)
    rows, columns = int(share * height), int(share * width)
    top, left = random.integers(height - rows), random.integers(width - columns)
    window = pixels[top : top + rows, left : left + columns]
    return np.ascontiguousarray(window[:, ::-1] if random.random() < 0.5 else window)


def _write_genome(folder: Path, named: dict[int, RealImage], coco_ids: dict[int, int]) -> None:
    """Images with a long edge of 500 pixels, as Visual Genome's copies have, each encoded once."""
    encoded: dict[Path, tuple[bytes, int, int]] = {}
    images, records = [], []
    (folder / "VG_100K").mkdir(parents=True)
    for number, image in named.items():
        if image.path not in encoded:
            pixels = image.pixels()
            small = resized(pixels, LONG_EDGE / max(pixels.shape))
            encoded[image.path] = (jpeg(small, 85), small.shape[1], small.shape[0])
        data, width, height = encoded[image.path]
        (folder / "VG_100K" / f"{number}.jpg").write_bytes(data)
        images.append({"image_id": number, "width": width, "height": height, "coco_id": coco_ids.get(number)})
        records.append({"image_id": number, "objects": [_object(number, n, width, height) for n in range(OBJECTS)]})
    (folder / "image_data.json").write_bytes(msgspec.json.encode(images))
    (folder / "objects.json").write_bytes(msgspec.json.encode(records))


def _object(image: int, number: int, width: int, height: int) -> dict[str, Any]:
    box = {"x": number * 7 % (width // 2), "y": number * 5 % (height // 2), "w": width // 3, "h": height // 4}
    synset = f"thing_{(image + number) % 300}.n.01"
    return {"object_id": image * OBJECTS + number, "names": [synset], "synsets": [synset], **box}


def _write_list(coco: Path, split: str, images: list[Any], annotations: list[Any], categories: list[Any]) -> None:
    (coco / "annotations").mkdir(exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    (coco / f"annotations/instances_{split}2017.json").write_bytes(msgspec.json.encode(document))
