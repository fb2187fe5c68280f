"""A run's parameters, checked before any data is read."""

from maskx_model.config import check_seed
from maskx_model.data.mask_classes import check_choice
from maskx_model.presets import get_preset
from maskx_model.run_config import RunConfig


def check_parameters(preset: str, mask_classes: str, seed: int) -> RunConfig:
    """Return the preset of that name.

    `mask_classes`: A, or empty for the preset's. Raises ConfigError for a preset that does not exist, a choice of A
    that is wrong whatever the data, and a seed below 0.
    """
    chosen = get_preset(preset)
    check_choice(mask_classes or chosen.mask_classes)
    check_seed(seed)
    return chosen
