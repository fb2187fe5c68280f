"""Mean and standard deviation of several measurements of AP."""

from collections.abc import Sequence
from statistics import stdev

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """AP, 0-100: the mean of the measurements, and their standard deviation (0 where there is only one)."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.deviation:.1f}"


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of the values; 0 of a single one."""
    return stdev(values) if len(values) > 1 else 0.0
