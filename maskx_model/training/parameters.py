"""A run's parameters, checked before any data is read."""

from collections.abc import Sequence
from dataclasses import replace

from maskx_model.configure.choose import of_pipeline
from maskx_model.data.mask_classes import check_choice
from maskx_model.run_config import RunConfig


def check_parameters(
    preset: str, config: str, overrides: Sequence[str], mask_classes: str, seed: int | None
) -> RunConfig:
    """Return the configuration that these ask for (`maskx_model.configure.choose`).

    `mask_classes`: A, or empty for the configuration's. `seed`: None for the configuration's. Raises ConfigError for a
    preset, field or value that does not exist, a choice of A that is wrong whatever the data, and a seed below 0.
    """
    chosen = of_pipeline(preset, config, overrides)
    check_choice(mask_classes or chosen.mask_classes)
    return chosen if seed is None else replace(chosen, seed=seed)
