"""What a local run of a preset passes to the pipeline."""

from pathlib import Path
from typing import Any

from data_prep.storage.errors import ConfigError, DataError
from maskx_model.preflight.request import CONFIG
from maskx_model.run_config import RunConfig

SOURCES = {"coco": "coco=coco", "visual_genome": "vg=vg"}
"""Folder of the data folder → name and format of the source in it."""


def arguments_of(out: Path, run: RunConfig, data: Path | None, mask_classes: str | None) -> dict[str, Any]:
    """The pipeline's parameters for a run of this configuration, which stands as CONFIG in the folder `out`.

    Raises:
        ConfigError: it needs `data` and there is none.
        DataError: `data` holds no source.
    """
    if data is None and run.data.toy_images is None:
        raise ConfigError(
            f"preset {run.name} brings no data: pass --data DIR, a folder with coco/, which may hold your own files in "
            "COCO's format, with visual_genome/, or with both"
        )
    return {
        "root": str(out),
        "sources": [] if data is None else sources_of(data),
        "config": str(out / CONFIG),
        "mask_classes": mask_classes or "",
        "accelerator_count": "0",  # the first step looks for none in a cluster
        "prepare_cpu": "1",  # workers take longer to start than a small dataset takes
    }


def sources_of(data: Path) -> list[str]:
    """The sources in a data folder, as `maskx data prepare` takes them; raises DataError if there are none."""
    found = [f"{source}:{data / folder}" for folder, source in SOURCES.items() if (data / folder).is_dir()]
    if not found:
        raise DataError(f"{data}: holds neither coco/ nor visual_genome/; --data names the folder that contains them")
    return found
