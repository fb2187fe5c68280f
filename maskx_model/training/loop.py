"""The training loop. One loop serves every stage; a stage is what it trains and what its loss is (`stages.py`)."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
import torch
from torch import Tensor, nn
from tqdm import tqdm

from data_prep.storage.errors import MaskxError
from maskx_model.artifacts.origin import Origin
from maskx_model.config import Schedule
from maskx_model.model.compute import in_precision_of
from maskx_model.training.checkpoint import TrainingState, load_training_state, save_training_state
from maskx_model.training.step import Losses, check_weights, make_step

Batch = TypeVar("Batch")


class DivergedError(MaskxError):
    """A loss, a gradient or a weight became infinite or NaN."""


@dataclass(frozen=True)
class Place:
    """The URI of the folder in which a training keeps its checkpoints, and what they belong to."""

    folder: str
    made_from: Origin


def train(
    module: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Batch], Losses],
    schedule: Schedule,
    learning_rate: float,
    seed: int,
    title: str,
    place: Place | None = None,
    keys: Callable[[Batch], Sequence[str]] | None = None,
) -> bytes:
    """Train `module`'s parameters that require gradients for `schedule.steps` steps; returns the metric lines.

    `batches(step)` yields the batches from that step on, `loss` gives named scalars whose sum is minimised. With a
    `place`, checkpoints go there and a training that was cut off goes on from its last one, to the same weights as
    if it had never stopped: batches are a function of the step, and so is the seed of everything random in it.

    Raises DivergedError for a loss, a gradient or a weight that is not finite, naming the step and, with `keys`, the
    images of its batch. Module and checkpoint stay as a good step left them.
    """
    optimizer = _optimizer(module, schedule)
    device = next(module.parameters()).device
    state = load_training_state(place.folder, place.made_from) if place else None
    start, metrics = _restore(state, module, optimizer) if state else (0, b"")

    def losses_of(batch: Batch) -> Losses:
        with in_precision_of(schedule.compute, device):
            return loss(batch)

    steps = range(start, schedule.steps)
    progress = tqdm(steps, desc=title, unit="step", initial=start, total=schedule.steps, mininterval=1)
    for step, batch in zip(progress, batches(start), strict=False):
        torch.manual_seed(seed * 1_000_003 + step)
        rate = learning_rate * rate_factor(schedule, step)
        done = step + 1
        to_save = done == schedule.steps or done % schedule.checkpoint_every == 0
        try:
            losses = make_step(module, optimizer, partial(losses_of, batch), rate, schedule.clip_norm)
            if to_save:
                check_weights(module)
        except FloatingPointError as error:
            of = f" (images {', '.join(keys(batch))})" if keys else ""
            raise DivergedError(
                f"{title}, step {step}{of}: {error}; lower the learning rate (--learning-rate)"
            ) from None
        if done % schedule.log_every == 0 or done == schedule.steps:
            values = {name: value.item() for name, value in losses.items()}
            metrics += msgspec.json.encode({"step": done, "learning_rate": rate, **values}) + b"\n"
            progress.set_postfix(loss=f"{values['loss']:.3f}", refresh=False)
        if place and to_save and done < schedule.steps:
            save_training_state(place.folder, _state(done, module, optimizer, metrics), place.made_from)
    return metrics


def rate_factor(schedule: Schedule, step: int) -> float:
    """The learning rate at a step (0-based), relative to its peak: linear warm-up from a third, then decay."""
    factor = 1.0
    if schedule.decay == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    else:
        factor = 0.1 ** sum(step >= milestone for milestone in schedule.milestones)
    if step < schedule.warmup_steps:
        factor *= 1 / 3 + 2 / 3 * step / schedule.warmup_steps
    return factor


def _optimizer(module: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=0.0, weight_decay=schedule.weight_decay)
    return torch.optim.SGD(parameters, lr=0.0, momentum=schedule.momentum, weight_decay=schedule.weight_decay)


def _state(step: int, module: nn.Module, optimizer: torch.optim.Optimizer, metrics: bytes) -> TrainingState:
    tensors = {f"model/{name}": value for name, value in module.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": value for slot, value in slots.items() if isinstance(value, Tensor)}
    return TrainingState(step, tensors, metrics)


def _restore(state: TrainingState, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, bytes]:
    module.load_state_dict(
        {name.removeprefix("model/"): t for name, t in state.tensors.items() if name.startswith("model/")}
    )
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return state.step, state.metrics
