"""A run's configuration for a dataset: the source it reads, and steps by the number of images."""

import logging
from dataclasses import replace
from typing import Any

from data_prep.format.reader import Dataset
from data_prep.storage.errors import ConfigError
from maskx_model.configure.batch import Stage
from maskx_model.data.training_images import SPLIT
from maskx_model.run_config import ONLY_SOURCE, RunConfig
from maskx_model.schedules import Schedule

logger = logging.getLogger(__name__)

SOURCE_OF: dict[Stage, str] = {"stage1": "stage1_source", "stage2": "stage2_source", "joint": "stage2_source"}
"""Stage → the field that names the source whose images it reads."""


def for_dataset(run: RunConfig, data: Dataset, *stages: Stage) -> RunConfig:
    """The run with the sources of these stages named and their passes turned into steps.

    What leaves neither open comes back as it is.

    Raises:
        ConfigError: `only` stands for a source, and the dataset has several.
        DataError: passes are to be counted over images that the dataset does not have.
    """
    changes: dict[str, Any] = {}
    done: dict[str, Any] = dict.fromkeys(stages)
    for stage in stages:
        source = changes[SOURCE_OF[stage]] = source_in(data, getattr(run, SOURCE_OF[stage]))
        if (passes := getattr(run.passes, stage)) is not None:
            images = len(data.select(SPLIT, source))
            changes[stage] = _of_passes(getattr(run, stage), stage, passes, images, run.passes.least_steps)
    return replace(run, **changes, passes=replace(run.passes, **done))


def source_in(data: Dataset, name: str) -> str:
    """The source of this name; for `only`, the name of the only one. Raises ConfigError if there are several."""
    if name != ONLY_SOURCE:
        return name
    names = [source.name for source in data.manifest.sources]
    if len(names) != 1:
        raise ConfigError(
            f"{data.uri}: has the sources {', '.join(names)}; name the one to read (--source NAME, or --set "
            "stage1_source=NAME --set stage2_source=NAME)"
        )
    return names[0]


def _of_passes(schedule: Schedule, stage: str, passes: float, images: int, least: int) -> Schedule:
    steps = max(least, round(passes * images / schedule.images_per_batch))
    logger.info(
        "%s: %d steps of %d images, for %g passes over %d training images (%d steps at least)",
        stage,
        steps,
        schedule.images_per_batch,
        passes,
        images,
        least,
    )
    return schedule.of_steps(steps)
