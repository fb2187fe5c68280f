"""Writes a toy world: both data sets' folders in their original layouts, and what is wrong with them."""

import io
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import local_path
from data_prep.toy_world.catalogue import (
    SMALLEST_IMAGES,
    SMALLEST_VAL_IMAGES,
    SPLITS,
    Damage,
    Entry,
    Split,
    entries,
)
from data_prep.toy_world.classes import GROUPS, STYLES, Style, groups, rare_classes
from data_prep.toy_world.coco_files import InstancesFile
from data_prep.toy_world.scenes import Scene, draw_scene
from data_prep.toy_world.visual_genome_files import STRAY_IMAGE_ID, VisualGenomeFiles

COCO_QUALITY, VG_QUALITY = 92, 88
SHARED_LONG_EDGES = (100, 144, 160)  # Visual Genome's copy is never of COCO's size
OWN_LONG_EDGES = (128, 136, 144, 152, 160)

README = "README.md"
"""The file that says what the world depends on."""
_README = """# A toy world

Generated images in the original layouts of COCO and Visual Genome: style {style}, seed {seed},
{images} training and {val_images} validation images. Overlapping objects on grey clutter; only its
appearance tells an object's class. `coco/` has boxes and masks of 60 classes, `visual_genome/` boxes of those
and of 12 rarer ones. The classes fall into five groups that are alike: `mask_classes/without_group_N.txt` lists
the 48 classes that keep their masks when group N is held out. `troubles.json` counts what is wrong in the files
on purpose, as it is in the real ones. Made by `maskx data toy`; free of any rights (CC0).
"""


def write_toy_world(
    out: Path, *, images: int = 4000, val_images: int = 400, seed: int = 0, style: Style = "hues"
) -> None:
    """Writes a toy world into the new folder ``out``, which appears only when it is whole.

    Every file is a pure function of (images, val_images, seed, style), and an image of (seed, style,
    its split and number) alone.

    Args:
        out: folder to make; may exist if it is empty.
        images: training images: 25 % in COCO only, 35 % in both, 40 % in Visual Genome only; at least 20.
        val_images: images of COCO's val2017, a quarter of them in Visual Genome too; at least 5.
        seed: any number from 0.
        style: "hues" (a class is a hue and a texture) or "pairs" (a class is a pair of colours, harder).

    Raises:
        ConfigError: a number is too small, the style does not exist, or ``out`` is not on disk.
        DataError: ``out`` exists and is not an empty folder.
    """
    _check_choices(images, val_images, seed, style)
    with _folder_when_whole(local_path(out)) as folder:
        coco = {split: InstancesFile(style, split) for split in SPLITS}
        visual_genome = VisualGenomeFiles()
        broken: dict[str, list[str]] = {"truncated": [], "missing": []}
        for entry in tqdm(entries(images, val_images), total=images + val_images, desc="toy world", unit="image"):
            scene = _draw(entry, seed, style)
            if entry.in_coco:
                coco[entry.split].add(entry, scene)
                _write_jpeg(folder / entry.coco_path, scene.pixels, COCO_QUALITY, entry.coco_damage)
            if entry.in_visual_genome:
                _add_to_visual_genome(folder, visual_genome, entry, scene, _long_edge(entry, seed, style))
            _note_damage(broken, entry)
        visual_genome.add_stray_record()
        _write_documents(folder, coco, visual_genome)
        _write_json(folder / "troubles.json", _troubles(coco, visual_genome, broken, style))
        _write_mask_classes(folder, style)
        (folder / README).write_text(readme(style, seed, images, val_images), encoding="utf-8")


def readme(style: Style, seed: int, images: int, val_images: int) -> str:
    """The text of a toy world's README; it names all that the world depends on."""
    return _README.format(style=style, seed=seed, images=images, val_images=val_images)


def _check_choices(images: int, val_images: int, seed: int, style: Style) -> None:
    if images < SMALLEST_IMAGES:
        raise ConfigError(f"--images {images}: a toy world needs at least {SMALLEST_IMAGES}.")
    if val_images < SMALLEST_VAL_IMAGES:
        raise ConfigError(f"--val-images {val_images}: a toy world needs at least {SMALLEST_VAL_IMAGES}.")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: choose a number from 0.")
    if style not in STYLES:
        raise ConfigError(f"--style {style}: there is no such style; choose one of {', '.join(STYLES)}.")


@contextmanager
def _folder_when_whole(out: Path) -> Iterator[Path]:
    """Yields `<out>.partial`, which becomes ``out`` if the block ends well and is removed otherwise."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists and is not an empty folder; choose another folder or remove this one.")
    partial = out.with_name(out.name + ".partial")
    if partial.exists():
        shutil.rmtree(partial)
    try:
        for name in ("coco/annotations", "coco/train2017", "coco/val2017", "mask_classes"):
            (partial / name).mkdir(parents=True)
        for name in ("VG_100K", "VG_100K_2"):
            (partial / "visual_genome" / name).mkdir(parents=True)
        yield partial
        partial.replace(out)  # also over an empty folder
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _draw(entry: Entry, seed: int, style: Style) -> Scene:
    rng = entry.random(seed, style, "drawing")
    return draw_scene(rng, style, with_rare=entry.in_visual_genome, with_crowd=entry.with_crowd)


def _long_edge(entry: Entry, seed: int, style: Style) -> int:
    choices = SHARED_LONG_EDGES if entry.in_coco else OWN_LONG_EDGES
    return int(entry.random(seed, style, "vg_copy").choice(choices))


def _add_to_visual_genome(folder: Path, files: VisualGenomeFiles, entry: Entry, scene: Scene, long_edge: int) -> None:
    """Writes the image at Visual Genome's size, unless it is the missing one, and adds its records."""
    height, width, _ = scene.pixels.shape
    size = (long_edge, round(height * long_edge / width))  # drawn images are never taller than wide
    files.add(entry, scene.objects, size, (width, height))
    resized = Image.fromarray(scene.pixels).resize(size, Image.Resampling.BICUBIC)
    _write_jpeg(folder / entry.vg_path, np.asarray(resized), VG_QUALITY, entry.vg_damage)


def _write_jpeg(path: Path, pixels: NDArray[np.uint8], quality: int, damage: Damage) -> None:
    """Writes (height, width, 3) uint8 RGB, or, as the damage says, only a part of it or nothing."""
    if damage == "missing":
        return
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    content = buffer.getvalue()
    path.write_bytes(content[: len(content) * 3 // 5] if damage == "truncated" else content)


def _note_damage(broken: dict[str, list[str]], entry: Entry) -> None:
    for path, damage in ((entry.coco_path, entry.coco_damage), (entry.vg_path, entry.vg_damage)):
        if damage != "none":
            broken[damage].append(path)


def _write_documents(folder: Path, coco: dict[Split, InstancesFile], visual_genome: VisualGenomeFiles) -> None:
    for split, instances in coco.items():
        _write_json(folder / f"coco/annotations/instances_{split}2017.json", instances.document())
    _write_json(folder / "visual_genome/image_data.json", visual_genome.image_data)
    _write_json(folder / "visual_genome/objects.json", visual_genome.objects)


def _write_json(path: Path, document: object) -> None:
    path.write_bytes(msgspec.json.encode(document))


def _troubles(
    coco: dict[Split, InstancesFile], visual_genome: VisualGenomeFiles, broken: dict[str, list[str]], style: Style
) -> dict[str, Any]:
    """What is wrong on purpose: counts by split, and the files and records that are broken."""
    rare: Counter[str] = visual_genome.synsets & Counter({r.synset: 10**9 for r in rare_classes(style)})
    return {
        "coco": {split: {"crowds": instances.crowds} for split, instances in coco.items()},
        "visual_genome": {split: dict(sorted(counts.items())) for split, counts in visual_genome.troubles.items()},
        "truncated_jpegs": broken["truncated"],
        "missing_jpegs": broken["missing"],
        "objects_without_image_data": [STRAY_IMAGE_ID],
        "rare_synsets": dict(sorted(rare.items())),
    }


def _write_mask_classes(folder: Path, style: Style) -> None:
    for held_out in range(GROUPS):
        kept = [member.name for group in groups(style) for member in group if member.group != held_out]
        path = folder / "mask_classes" / f"without_group_{held_out}.txt"
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
