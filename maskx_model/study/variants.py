"""Variants of the mask head by name: T's input, structure, scale and regularization, the MLP, the RoIs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_prep.storage.errors import ConfigError
from maskx_model.config import MaskConfig
from maskx_model.run_config import RunConfig
from maskx_model.schedules import RoiKind

BASELINE = "class_agnostic"
"""The variant that others must beat on classes without masks (§3.3)."""

OWN = "preset"
"""The preset's mask branch as it stands, with its MLP."""


@dataclass(frozen=True)
class Variant:
    """A mask head to train: its configuration, and the boxes it is trained on."""

    name: str
    mask: MaskConfig
    rois: RoiKind


# Name → what differs from the preset's mask branch without MLP; `rois` is the schedule's.
CHANGES: dict[str, dict[str, Any]] = {
    BASELINE: {"kind": "class_agnostic"},
    "class_agnostic+mlp": {"kind": "class_agnostic", "mlp": "light"},
    "cls": {"transfer_input": "cls"},
    "box": {"transfer_input": "box"},
    "cls+box": {"transfer_input": "cls+box"},
    "randn": {"transfer_input": "randn"},
    "1-layer": {"transfer_layers": 1},
    "3-layer": {"transfer_layers": 3},
    "unscaled": {"transfer_scale": "none"},
    "unit": {"transfer_scale": "unit"},
    "standard": {"transfer_scale": "standard"},
    "dropout": {"transfer_dropout": 0.3},
    "plain-decay": {"transfer_weight_decay": None},
    "mlp-light": {"mlp": "light"},
    "mlp-paper": {"mlp": "paper"},
    "gt-rois": {"rois": "gt"},
    "jittered-rois": {"rois": "jittered"},
}
DEFAULT = tuple(name for name in CHANGES if name != "mlp-paper")
"""All but the MLP of 157 million parameters."""


def variant(name: str, preset: RunConfig) -> Variant:
    """The variant of that name of a preset's mask branch; raises ConfigError for an unknown name.

    A variant that does not change T's input has the preset's. Raises ConfigError, too, for a preset whose weights are
    learned class by class, if its own mask branch is asked for: it has none for a class without masks.
    """
    if name == OWN:
        if preset.mask.kind == "class_specific":
            raise ConfigError(f"variant {OWN}: mask.kind class_specific learns nothing of a class that is held out")
        return Variant(name, preset.mask, preset.stage2.rois)
    if name not in CHANGES:
        raise ConfigError(f"variant {name!r} does not exist; choose among {', '.join(CHANGES)}, {OWN}")
    changes = dict(CHANGES[name])
    rois: RoiKind = changes.pop("rois", preset.stage2.rois)
    if "transfer_input" in changes:
        changes["embedding_dim"] = None
    return Variant(name, replace(preset.mask, **{"kind": "transfer", "mlp": "none", **changes}), rois)


def variants_of(preset: RunConfig, names: Sequence[str]) -> tuple[Variant, ...]:
    """Those variants, the baseline always among them and first; of two that are equal the second is excluded."""
    variants: list[Variant] = []
    for name in dict.fromkeys((BASELINE, *names)):
        each = variant(name, preset)
        if all((each.mask, each.rois) != (other.mask, other.rois) for other in variants):
            variants.append(each)
    return tuple(variants)
