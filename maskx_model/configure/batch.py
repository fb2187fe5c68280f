"""What another batch than the preset's means for the learning rate: the linear rule."""

import logging
from dataclasses import replace
from typing import Literal

from data_prep.storage.errors import ConfigError
from maskx_model.presets import PRESETS
from maskx_model.run_config import RunConfig
from maskx_model.schedules import Schedule

logger = logging.getLogger(__name__)

Stage = Literal["stage1", "stage2", "joint"]


def with_linear_rule(run: RunConfig, stage: Stage) -> RunConfig:
    """The run with the learning rates of this stage times its batch over the preset's (Goyal et al. 2017, §2.1).

    Raises:
        ConfigError: the rule does not hold for the stage's optimizer, or the preset's learning rates were changed.
    """
    before, after = _before(run, stage), getattr(run, stage)
    if before is None or after.images_per_batch == before.images_per_batch:
        return run
    if after.optimizer != "sgd":
        raise ConfigError(f"--scale-learning-rate: the linear rule holds for sgd, {stage} uses {after.optimizer}")
    if after.learning_rates != before.learning_rates:
        raise ConfigError(
            f"--scale-learning-rate: the learning rates of {stage} are not the preset's but {_rates(after)}; "
            "leave one of the two out"
        )
    return replace(run, **{stage: replace(after, learning_rates=_scaled(before, after))})


def tell_other_batch(run: RunConfig, stage: Stage) -> None:
    """Log the linear rule's learning rate, where the batch is not the preset's and the learning rate is.

    Raises:
        ConfigError: a batch of images was set for a stage that trains from cached RoIs and reads none.
    """
    before, after = _before(run, stage), getattr(run, stage)
    if before is None or after.images_per_batch == before.images_per_batch:
        return
    if getattr(after, "cache_rois", False):
        raise ConfigError(
            f"{stage}.images_per_batch: {stage} of preset {run.name} trains from memory (cache_rois), on "
            f"{stage}.rois_per_batch RoIs a step; set that"
        )
    if after.learning_rates == before.learning_rates and after.optimizer == "sgd":
        logger.info(
            "%s: batches of %d images instead of the preset's %d, at the preset's learning rate, %s; the linear rule "
            "would give %s (--scale-learning-rate). The preset trains on %d images; with this batch that takes %d "
            "steps, not %d",
            stage,
            after.images_per_batch,
            before.images_per_batch,
            _rates(after),
            ", ".join(f"{rate:g}" for rate in _scaled(before, after)),
            before.steps * before.images_per_batch,
            before.steps * before.images_per_batch // after.images_per_batch,
            after.steps,
        )


def _before(run: RunConfig, stage: Stage) -> Schedule | None:
    """The stage's schedule in the preset that the run begins with; None for a run that was made otherwise."""
    return getattr(PRESETS[run.name](), stage) if run.name in PRESETS else None


def _scaled(before: Schedule, after: Schedule) -> tuple[float, ...]:
    return tuple(rate * after.images_per_batch / before.images_per_batch for rate in before.learning_rates)


def _rates(schedule: Schedule) -> str:
    return ", ".join(f"{rate:g}" for rate in schedule.learning_rates)
