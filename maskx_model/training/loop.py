"""The training loop. One loop serves every stage; a stage is what it trains and what its loss is (`stages.py`)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
import torch
from torch import nn
from tqdm import tqdm

from data_prep.storage.errors import MaskxError
from maskx_model.artifacts.origin import Origin
from maskx_model.config import Schedule
from maskx_model.data.seeds import step_seed
from maskx_model.model.compute import in_precision_of
from maskx_model.training.checkpoint import load_training_state, save_training_state
from maskx_model.training.module_state import capture, restore
from maskx_model.training.optimizer import build_optimizer, learning_rate_factor
from maskx_model.training.step import Losses, check_weights, make_step

Batch = TypeVar("Batch")


class DivergedError(MaskxError):
    """A loss, a gradient or a weight became infinite or NaN."""


@dataclass(frozen=True)
class CheckpointFolder:
    """Where a training keeps its checkpoints: the folder's URI, and the inputs that they belong to."""

    uri: str
    made_from: Origin


def train(
    module: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Batch], Losses],
    schedule: Schedule,
    learning_rate: float,
    seed: int,
    title: str,
    checkpoints: CheckpointFolder | None = None,
    keys: Callable[[Batch], Sequence[str]] | None = None,
) -> bytes:
    """Train `module`'s parameters that require gradients for `schedule.steps` steps; returns the metric lines.

    `batches(step)` yields the batches from that step on, `loss` gives named scalars whose sum is minimized. With
    `checkpoints` a training resumes from its last one, to the same weights as if it had never stopped: batches are a
    function of the step, and so is the seed of everything random in it.

    Raises DivergedError for a loss, a gradient or a weight that is not finite, naming the step and, with `keys`, the
    images of its batch. Module and checkpoint stay as a good step left them.
    """
    optimizer = build_optimizer(module, schedule)
    start, metrics = _resume(checkpoints, module, optimizer) if checkpoints else (0, b"")
    device = next(module.parameters()).device

    def losses_of(batch: Batch) -> Losses:
        with in_precision_of(schedule.compute, device):
            return loss(batch)

    numbers = range(start, schedule.steps)
    steps = tqdm(numbers, desc=title, unit="step", initial=start, total=schedule.steps, mininterval=1)
    for step, batch in zip(steps, batches(start), strict=False):
        torch.manual_seed(step_seed(seed, step))
        rate = learning_rate * learning_rate_factor(schedule, step)
        done = step + 1
        to_save = done == schedule.steps or done % schedule.checkpoint_every == 0
        try:
            losses = make_step(module, optimizer, partial(losses_of, batch), rate, schedule.clip_norm)
            if to_save:
                check_weights(module)
        except FloatingPointError as error:
            raise _diverged(title, step, keys(batch) if keys else (), error) from None
        if done % schedule.log_every == 0 or done == schedule.steps:
            values = {name: value.item() for name, value in losses.items()}
            metrics += msgspec.json.encode({"step": done, "learning_rate": rate, **values}) + b"\n"
            steps.set_postfix(loss=f"{values['loss']:.3f}", refresh=False)
        if checkpoints and to_save and done < schedule.steps:
            save_training_state(checkpoints.uri, capture(done, module, optimizer, metrics), checkpoints.made_from)
    return metrics


def _resume(checkpoints: CheckpointFolder, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, bytes]:
    """The step to begin with and the metric lines so far, with module and optimizer as they were."""
    state = load_training_state(checkpoints.uri, checkpoints.made_from)
    if state is None:
        return 0, b""
    restore(state, module, optimizer)
    return state.step, state.metrics


def _diverged(title: str, step: int, keys: Sequence[str], error: FloatingPointError) -> DivergedError:
    images = f" (images {', '.join(keys)})" if keys else ""
    return DivergedError(f"{title}, step {step}{images}: {error}; lower the learning rate (--learning-rate)")
