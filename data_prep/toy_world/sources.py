"""The toy world as the sources of a run: generated where the user names no data, and reused by a run that resumes."""

import logging
from collections.abc import Sequence

from data_prep.storage.errors import ConfigError, DataError
from data_prep.storage.storage import create_folder, exists, is_on_disk, local_path, read
from data_prep.toy_world.world import README, readme, write_toy_world

logger = logging.getLogger(__name__)


def sources_or_toy_world(
    given: Sequence[str], toy_world: str, images: int | None, val_images: int | None, seed: int
) -> list[str]:
    """The sources of a run, as `maskx data prepare` takes them.

    Args:
        given: the sources named; if there are any, they are returned.
        toy_world: otherwise the URI of a toy world's folder, written now unless the same one is there.
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
    _write_unless_there(toy_world, images, val_images, seed)
    return [f"coco=coco:{toy_world}/coco", f"vg=vg:{toy_world}/visual_genome"]


def _write_unless_there(toy_world: str, images: int, val_images: int, seed: int) -> None:
    """Write the toy world unless the README in the folder, which names all that it depends on, is the same."""
    wanted = readme("hues", seed, images, val_images)
    present = f"{toy_world}/{README}"
    if not exists(present):
        _write(toy_world, images, val_images, seed)
    elif read(present).decode() == wanted:
        logger.info("%s: written already, nothing to do", toy_world)
    else:
        raise DataError(f"{present}: describes another toy world than the one requested; choose another folder")


def _write(toy_world: str, images: int, val_images: int, seed: int) -> None:
    if is_on_disk(toy_world):
        write_toy_world(local_path(toy_world), images=images, val_images=val_images, seed=seed)
        return
    with create_folder(toy_world, README) as folder:
        write_toy_world(folder, images=images, val_images=val_images, seed=seed)
