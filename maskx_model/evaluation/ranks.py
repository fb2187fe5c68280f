"""An evaluation shared by the ranks that torchrun started: each predicts on some of the images, and all learn all."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from data_prep.format.records import Rle
from maskx_model.evaluation.predictions import Predictions
from maskx_model.results.instances import Instances
from maskx_model.training.distributed import World

Item = TypeVar("Item")


class _Said(msgspec.Struct, frozen=True):
    """An image's instances as text."""

    boxes: list[tuple[float, float, float, float]]
    labels: list[int]
    scores: list[float]
    masks: list[Rle]


def own_share(items: Sequence[Item], world: World) -> Sequence[Item]:
    """Every R-th item, from this rank's on: each item is one rank's."""
    return items[world.rank :: world.size]


def shared_predictions(own: Mapping[str, Predictions], count: int, world: World) -> dict[str, Predictions]:
    """The predictions of all ranks for `count` images, in the images' order. All ranks must call it."""
    if world.size == 1:
        return dict(own)
    said = {
        kind: ([_say(each) for each in mine.on_predicted_boxes], [_say(each) for each in mine.on_ground_truth_boxes])
        for kind, mine in own.items()
    }
    parts = world.exchange(msgspec.json.encode(said).decode())
    decoded = [msgspec.json.decode(part, type=dict[str, tuple[list[_Said], list[_Said]]]) for part in parts]
    return {
        kind: Predictions(*(_interleaved([part[kind][which] for part in decoded], count) for which in (0, 1)))
        for kind in own
    }


def _interleaved(parts: Sequence[Sequence[_Said]], count: int) -> list[Instances]:
    if not any(parts):  # no boxes of this kind were predicted
        return []
    return [_hear(parts[number % len(parts)][number // len(parts)]) for number in range(count)]


def _say(instances: Instances) -> _Said:
    return _Said(instances.boxes.tolist(), instances.labels.tolist(), instances.scores.tolist(), instances.masks)


def _hear(said: _Said) -> Instances:
    return Instances(
        boxes=np.array(said.boxes, dtype=np.float32).reshape(-1, 4),
        labels=np.array(said.labels, dtype=np.int64),
        scores=np.array(said.scores, dtype=np.float32),
        masks=said.masks,
    )
