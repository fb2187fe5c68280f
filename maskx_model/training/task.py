"""What the training loop trains: a module, its batches, and the loss on one of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from maskx_model.training.remedies import Group

Batch = TypeVar("Batch")
Losses = dict[str, Tensor]
"""Scalars by name; their sum is minimized."""


@dataclass(frozen=True)
class Measured:
    """The losses of this rank's part of a batch, each the mean over something, and over how many: by loss. A loss that
    `counts` does not name is a mean over the images."""

    losses: Losses
    counts: Mapping[str, int] = field(default_factory=dict)


def _neighbors(batch: Any, part: slice) -> Any:
    return batch[part]


def _length(batch: Any) -> str:
    return f"{len(batch)} items"


def _no_keys(_: Any) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Task(Generic[Batch]):
    """What a training trains.

    `batches(step)` yields this rank's part of the batches from that step on. `group`: of the configuration, whose
    options help where the training cannot go on. `keys`: the images of a batch, for errors. `shapes`: what a batch is,
    in words. `part`: some neighbors of a batch, where its gradients are accumulated.
    """

    title: str
    module: nn.Module
    batches: Callable[[int], Iterable[Batch]]
    loss: Callable[[Batch], Measured]
    group: Group
    keys: Callable[[Batch], Sequence[str]] = _no_keys
    shapes: Callable[[Batch], str] = _length
    part: Callable[[Batch, slice], Batch] = _neighbors
