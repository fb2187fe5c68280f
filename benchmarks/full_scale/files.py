"""The folder of generated files: written once for a fraction of the real size, and reused.

    python -m benchmarks.full_scale --fraction 1

Images have no pixels: each is a sparse file of a plausible size, which is all that planning needs.
"""

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.full_scale.coco_files import write_coco
from benchmarks.full_scale.images import CocoImages, VisualGenomeImages, coco_images, visual_genome_images
from benchmarks.full_scale.visual_genome_files import FOLDERS, write_visual_genome

FOLDER = Path("runs/benchmarks/full_scale")
_SEED = 2017


@dataclass(frozen=True)
class FullScale:
    """Where the files are, and how much is in them."""

    folder: Path
    coco_images: int
    coco_annotations: int
    vg_images: int
    vg_objects: int

    @property
    def images(self) -> int:
        """All image records of both sources."""
        return self.coco_images + self.vg_images

    @property
    def sources(self) -> tuple[str, str]:
        """The `--source` options that name them."""
        return f"coco=coco:{self.folder}/coco", f"vg=vg:{self.folder}/visual_genome"


class _Written(msgspec.Struct):
    """`written.json`: which generator wrote the folder, and what."""

    generator: str
    coco_images: int
    coco_annotations: int
    vg_images: int
    vg_objects: int


def full_scale(fraction: float, folder: Path = FOLDER) -> FullScale:
    """The files at `fraction` of the real size below `folder`, written unless this generator has written them."""
    place = folder / f"{fraction:g}"
    note = place / "written.json"
    sources = sorted(Path(__file__).parent.glob("*.py"))
    generator = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    if note.exists() and (written := msgspec.json.decode(note.read_bytes(), type=_Written)).generator == generator:
        return _described(place, written)
    shutil.rmtree(place, ignore_errors=True)
    begun = time.monotonic()
    written = _write(place, fraction, generator)
    note.write_bytes(msgspec.json.encode(written))
    print(f"wrote {place} in {time.monotonic() - begun:.0f} s")
    return _described(place, written)


def _described(place: Path, written: _Written) -> FullScale:
    counts = (written.coco_images, written.coco_annotations, written.vg_images, written.vg_objects)
    return FullScale(place.absolute(), *counts)


def _write(place: Path, fraction: float, generator: str) -> _Written:
    (place / "coco/annotations").mkdir(parents=True)
    (place / "visual_genome").mkdir()
    rng = np.random.default_rng(_SEED)
    coco = coco_images(fraction, rng)
    genome = visual_genome_images(fraction, coco, rng)
    annotations = 0
    for split in ("train", "val"):
        annotations += write_coco(place / f"coco/annotations/instances_{split}2017.json", coco, split, rng)
    objects = write_visual_genome(place / "visual_genome", genome, rng)
    _write_images(place, coco, genome, rng)
    return _Written(generator, len(coco.id), annotations, len(genome.id), objects)


def _write_images(place: Path, coco: CocoImages, genome: VisualGenomeImages, rng: np.random.Generator) -> None:
    for name in ("coco/train2017", "coco/val2017", *(f"visual_genome/{name}" for name in FOLDERS)):
        (place / name).mkdir()
    splits = ["val" if val else "train" for val in coco.val.tolist()]
    paths = [f"coco/{split}2017/{number:012d}.jpg" for split, number in zip(splits, coco.id.tolist(), strict=True)]
    folders = [FOLDERS[number] for number in genome.folder.tolist()]
    paths += [f"visual_genome/{name}/{number}.jpg" for name, number in zip(folders, genome.id.tolist(), strict=True)]
    pixels = np.concatenate([coco.width * coco.height, genome.width * genome.height])
    sizes = (pixels * rng.uniform(0.2, 0.9, len(pixels))).astype(np.int64)
    for path, size in zip(paths, sizes.tolist(), strict=True):
        file = os.open(place / path, os.O_CREAT | os.O_WRONLY)
        os.ftruncate(file, size)
        os.close(file)
