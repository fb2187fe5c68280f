"""The toy world as the sources of a run: generated where the user names no data, and reused by a run that resumes."""

import logging
from collections.abc import Sequence
from pathlib import Path

from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import local_path
from data_prep.toy_world.world import readme, write_toy_world

logger = logging.getLogger(__name__)


def sources_or_toy_world(
    given: Sequence[str], toy_world: str, images: int | None, val_images: int | None, seed: int
) -> list[str]:
    """The sources of a run, as `maskx data prepare` takes them.

    Args:
        given: the sources named; if there are any, they are returned.
        toy_world: otherwise the folder of a toy world, written now unless the same one is there.
        images: its number of training images; None for a run on custom data.
        val_images: its number of validation images.
        seed: its seed.

    Raises:
        ConfigError: no sources are named, and the run has no toy world in their place.
        DataError: the folder holds another toy world, or something else.
    """
    if given:
        return list(given)
    if images is None or val_images is None:
        raise ConfigError("no sources: name the original data, for example coco=coco:FOLDER vg=vg:FOLDER")
    _write_unless_there(local_path(toy_world), images, val_images, seed)
    return [f"coco=coco:{toy_world}/coco", f"vg=vg:{toy_world}/visual_genome"]


def _write_unless_there(folder: Path, images: int, val_images: int, seed: int) -> None:
    """Write the toy world unless the README in the folder, which names all that it depends on, is the same."""
    wanted = readme("hues", seed, images, val_images)
    present = folder / "README.md"
    if not present.exists():
        write_toy_world(folder, images=images, val_images=val_images, seed=seed)
    elif present.read_text(encoding="utf-8") == wanted:
        logger.info("%s: written already, nothing to do", folder)
    else:
        raise DataError(f"{present}: describes another toy world than the one requested; choose another folder")
