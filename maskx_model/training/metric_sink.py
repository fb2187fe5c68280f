"""Who follows a training while it runs: numbers go to a sink, and a watch looks at the model now and then.

The metric lines of a model folder are another thing: they are part of the training's result, bit by bit the same for
the same inputs, and hold no figure of the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn


class MetricSink(Protocol):
    """Where numbers go as they are made."""

    def begin(self, part: str) -> None:
        """What follows is of that part of the training, which counts its steps from 1 as other parts do; with an empty
        name, of the training itself."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers after that step: losses, the learning rate, and what the machine did under `system/`
        (`images_per_second`, `data_wait` as a fraction of the time, `memory_bytes`, `seconds_left`). Returns at
        once."""

    def close(self) -> None:
        """Hands on what is left, at the end of the training and after an error."""


class Watch(Protocol):
    """A look at the model while it trains, such as AP on some images of the validation split."""

    every: int
    """Steps between two looks."""
    best_by: str
    """Of the values that a look returns the one whose highest makes the best checkpoint."""

    def __call__(self, step: int, module: "nn.Module") -> Mapping[str, float]:
        """Returns numbers, of which the sink gets the first rank's; all ranks call it. `module`: what is trained, with
        the averaged weights where they are averaged. Module, its mode and torch's random generators are left as they
        were."""


@dataclass(frozen=True)
class Observers:
    """Who follows a training. The trained weights do not depend on them."""

    sink: MetricSink | None = None
    watch: Watch | None = None


NOBODY = Observers()
