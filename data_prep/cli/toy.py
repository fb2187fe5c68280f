"""`maskx data toy`."""

from pathlib import Path
from typing import Literal

from data_prep.arguments import Number


def toy(
    out: Path,
    /,
    images: Number = 4000,
    val_images: Number = 400,
    seed: Number = 0,
    style: Literal["hues", "pairs"] = "hues",
) -> None:
    """Generate a toy world: images with annotations in COCO's and Visual Genome's original layouts.

    Prepare it like the real data: `maskx data prepare` takes its folders `coco` and `visual_genome`.

    Args:
        out: Folder to create. It must be empty or not exist.
        images: Number of training images, at least 20.
        val_images: Number of validation images, at least 5.
        seed: Another number generates another world.
        style: What makes a class: `hues`, a hue and a texture; `pairs`, a pair of colors, which is harder.

    Example:
        maskx data toy world --images 500 --val-images 100
    """
    from data_prep.toy_world import write_toy_world

    write_toy_world(out, images=images, val_images=val_images, seed=seed, style=style)
    print(f"{out}: {images} training and {val_images} validation images, see {out / 'README.md'}")
