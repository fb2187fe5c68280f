"""The training loop. One loop serves every stage; a stage is what it trains and what its loss is (`stages.py`)."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import torch
from torch import Tensor, nn
from tqdm import tqdm

from data_prep.format.errors import MaskxError
from maskx_model.checkpoint import Origin, TrainingState, load_training_state, save_training_state
from maskx_model.config import Schedule

Batch = TypeVar("Batch")
Losses = dict[str, Tensor]


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
) -> bytes:
    """Train `module`'s parameters that require gradients for `schedule.steps` steps; returns the metric lines.

    `batches(step)` yields the batches from that step on, `loss` gives named scalars whose sum is minimised. With a
    `place`, checkpoints go there and a training that was cut off goes on from its last one, to the same weights as
    if it had never stopped: batches are a function of the step, and so is the seed of everything random in it.
    Raises MaskxError for a loss that is not finite.
    """
    optimizer = _optimizer(module, schedule)
    state = load_training_state(place.folder, place.made_from) if place else None
    start, metrics = _restore(state, module, optimizer) if state else (0, b"")
    steps = range(start, schedule.steps)
    progress = tqdm(steps, desc=title, unit="step", initial=start, total=schedule.steps, mininterval=1)
    for step, batch in zip(progress, batches(start), strict=False):
        torch.manual_seed(seed * 1_000_003 + step)
        rate = learning_rate * rate_factor(schedule, step)
        losses = loss(batch)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            parts = ", ".join(f"{name} {value.item():.3g}" for name, value in losses.items())
            raise MaskxError(f"{title}: the loss is not finite at step {step} ({parts}); lower the learning rate")
        _update(module, optimizer, total, rate, schedule.clip_norm)
        done = step + 1
        if done % schedule.log_every == 0 or done == schedule.steps:
            values = {"loss": total.item(), **{name: value.item() for name, value in losses.items()}}
            metrics += msgspec.json.encode({"step": done, "learning_rate": rate, **values}) + b"\n"
            progress.set_postfix(loss=f"{values['loss']:.3f}", refresh=False)
        if place and done % schedule.checkpoint_every == 0 and done < schedule.steps:
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


def _update(
    module: nn.Module, optimizer: torch.optim.Optimizer, total: Tensor, rate: float, clip_norm: float | None
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    total.backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
    optimizer.step()


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
