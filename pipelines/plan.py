"""What a local run of a preset passes to the pipeline."""

from pathlib import Path
from typing import Any

from data_prep.storage.errors import ConfigError, DataError
from maskx_model.presets import get_preset

SOURCES = {"coco": "coco=coco", "visual_genome": "vg=vg"}
"""Folder of the data folder → name and format of the source in it."""


def arguments_of(out: Path, preset: str, data: Path | None, mask_classes: str | None, seed: int) -> dict[str, Any]:
    """The pipeline's parameters for a run of this preset in the folder `out`.

    Raises:
        ConfigError: no such preset, or it needs `data` and there is none.
        DataError: `data` holds no source.
    """
    chosen = get_preset(preset)
    if data is None and chosen.data.toy_images is None:
        raise ConfigError(f"preset {preset} brings no data: pass --data DIR, a folder with coco/ and visual_genome/")
    return {
        "root": str(out),
        "sources": [] if data is None else sources_of(data),
        "preset": preset,
        "classes": chosen.data.classes or 0,  # kfp.local cannot leave a parameter without a default open
        "max_rejected": chosen.data.max_rejected,
        "mask_classes": mask_classes or "",
        "seed": seed,
    }


def sources_of(data: Path) -> list[str]:
    """The sources in a data folder, as `maskx data prepare` takes them; raises DataError if there are none."""
    found = [f"{source}:{data / folder}" for folder, source in SOURCES.items() if (data / folder).is_dir()]
    if not found:
        raise DataError(f"{data}: holds neither coco/ nor visual_genome/; --data names the folder that contains them")
    return found
