"""The four gates before a new version: each compares figures with one number of the configuration (`GatesConfig`).

A gate is a step of its own: all are checked, so that the record holds every figure. One that is checked and lacks a
figure fails, and says how to get it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from maskx_model.run_config import GatesConfig

Figures = Mapping[str, float]
"""What a version came to: AP in percent points by the names of `NAMES`, `seconds` for an image, `memory` in GB."""
NAMES = {
    "mask_ap_a": "mask AP on A",
    "mask_ap_b": "mask AP on B",
    "estimate_b": "leave-classes-out estimate of mask AP on B",
    "mask_ap": "mask AP on all classes",
    "box_ap": "box AP on all classes",
}
ON_B = ("mask_ap_b", "estimate_b", "mask_ap", "box_ap")
"""What stands for B, the first that both have."""
OVER_BASELINE = {
    "over_baseline_b": "mask AP on B",
    "estimate_margin": "mask AP on held-out classes",
    "over_baseline": "mask AP on all classes",
}
"""By how much a version lies above its run's class-agnostic model: the first that it has."""


class Verdict(msgspec.Struct, frozen=True):
    """One gate's: `figures` are those that it compared, `limit` the least or greatest that would pass (None where there
    was nothing to compare with)."""

    gate: str
    passed: bool
    reason: str
    figures: dict[str, float] = {}
    limit: float | None = None


@dataclass(frozen=True)
class Rival:
    """The present champion: `figures` on the new version's validation records, and a `problem` where it has none there;
    `measured_again` if they are not those of its own evaluation."""

    version: str
    figures: Figures
    problem: str = ""
    measured_again: bool = False


def ask(config: GatesConfig, own: Figures, rival: Rival | None) -> tuple[Verdict, ...]:
    """The verdict of each gate that the configuration asks, in their order. `rival`: None if there is no champion."""
    return tuple(verdict for gate in GATES if (verdict := gate(config, own, rival)) is not None)


def not_worse_on_a(config: GatesConfig, own: Figures, rival: Rival | None) -> Verdict | None:
    """Mask AP on A, or box AP where no mask was measured, against the champion's, less the tolerance."""
    if config.a_tolerance is None:
        return None
    return _against(rival, "a", own, ("mask_ap_a", "box_ap"), -config.a_tolerance)


def better_on_b(config: GatesConfig, own: Figures, rival: Rival | None) -> Verdict | None:
    """Mask AP on B, or what stands for it, against the champion's and the gain."""
    return None if config.b_gain is None else _against(rival, "b", own, ON_B, config.b_gain)


def above_the_baseline(config: GatesConfig, own: Figures, _rival: Rival | None) -> Verdict | None:
    """How far the version lies above the class-agnostic model of its own run."""
    least = config.over_baseline
    if least is None:
        return None
    name = next((name for name in OVER_BASELINE if name in own), None)
    if name is None:
        reason = (
            "its mask AP was not compared with a class-agnostic model's; evaluate it with --baseline on images with "
            "masks, or set gates.over_baseline to null"
        )
        return Verdict("baseline", False, reason)
    reason = (
        f"its {OVER_BASELINE[name]} lies {own[name]:+.2f} above the class-agnostic model's, at least {least:+g} is "
        "required"
    )
    return Verdict("baseline", own[name] >= least, reason, {name: own[name]}, least)


def within_costs(config: GatesConfig, own: Figures, _rival: Rival | None) -> Verdict | None:
    """Seconds for an image and memory against their limits."""
    limits = {"seconds": (config.max_seconds, "s an image"), "memory": (config.max_memory, "GB of memory")}
    set_limits = {name: (most, unit) for name, (most, unit) in limits.items() if most is not None}
    if not set_limits:
        return None
    reasons = [
        f"it takes {own[name]:.3g} {unit}, at most {most:g} is allowed" for name, (most, unit) in set_limits.items()
    ]
    passed = all(own[name] <= most for name, (most, _) in set_limits.items())
    return Verdict("cost", passed, "; ".join(reasons), {name: own[name] for name in set_limits})


GATES: tuple[Callable[[GatesConfig, Figures, Rival | None], Verdict | None], ...] = (
    not_worse_on_a,
    better_on_b,
    above_the_baseline,
    within_costs,
)
"""In the order in which they are checked."""


def _against(rival: Rival | None, gate: str, own: Figures, names: tuple[str, ...], difference: float) -> Verdict:
    """The first of these figures that both have: the version's must reach the champion's plus the difference."""
    if rival is None:
        return Verdict(gate, True, "there is no champion")
    if rival.problem:
        return Verdict(gate, False, rival.problem)
    name = next((name for name in names if name in own and name in rival.figures), None)
    if name is None:
        figures = " or ".join(NAMES[each] for each in names)
        return Verdict(gate, False, f"{figures} was not measured for both versions; evaluate both on the same images")
    compared, limit = {name: own[name], f"champion_{name}": rival.figures[name]}, rival.figures[name] + difference
    required = f", a difference of at least {difference:+g} is required" if difference else ""
    reason = f"its {NAMES[name]} is {own[name]:.2f}, the champion's {rival.figures[name]:.2f}{required}"
    return Verdict(gate, own[name] >= limit, reason, compared, limit)
