"""`maskx data …`: each command is a few lines over a library call, and imports what is heavy when it is called."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal


def toy(
    out: Path,
    /,
    images: int = 4000,
    val_images: int = 400,
    seed: int = 0,
    style: Literal["hues", "pairs"] = "hues",
) -> None:
    """Generate a toy world: photographs with annotations in COCO's and Visual Genome's original layouts.

    Prepare it like the real data: `maskx data prepare` takes its `coco` and `visual_genome` folders.

    Args:
        out: Folder to make. It must not exist, or be empty.
        images: How many training photographs, at least 20.
        val_images: How many validation photographs, at least 5.
        seed: Another number draws another world.
        style: What makes a class: "hues" is a hue and a texture, "pairs" is a pair of colours and harder.
    """
    from data_prep.toy_world import write_toy_world

    write_toy_world(out, images=images, val_images=val_images, seed=seed, style=style)
    print(f"{out}: {images} training and {val_images} validation photographs, see {out / 'README.md'}")


COMMANDS: dict[str, Callable[..., None]] = {"toy": toy}
