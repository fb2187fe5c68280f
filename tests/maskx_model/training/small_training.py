"""A small network and its training, to try the loop and its checkpoints with."""

from collections.abc import Callable, Iterator

import msgspec
import torch
from torch import Tensor, nn

from maskx_model.artifacts.origin import Origin
from maskx_model.schedules import Schedule
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.loop import train
from maskx_model.training.session import Session
from maskx_model.training.task import Losses, Measured, Task

ORIGIN: Origin = {"dataset": "abc", "seed": 0, "rate": 0.003}


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))


def batches(start: int) -> Iterator[Tensor]:
    for step in range(start, 100):
        yield torch.randn(4, 3, generator=torch.Generator().manual_seed(step))


Batches = Callable[[int], Iterator[Tensor]]


def run(net: nn.Module, schedule: Schedule, checkpoints: Checkpoints | None = None, source: Batches = batches) -> bytes:
    """Train the net to sum up its inputs."""

    def loss(batch: Tensor) -> Losses:
        return {"fit": (net(batch) - batch.sum(1, keepdim=True)).square().mean(), "size": 0.1 * net(batch).abs().mean()}

    return train(task(net, loss, source), schedule, learning_rate=0.05, seed=1, session=Session(checkpoints))


def task(
    net: nn.Module, loss: Callable[[Tensor], Losses], source: Batches = batches, title: str = "test"
) -> Task[Tensor]:
    """A task whose losses are means over the items of a batch."""

    def measured(batch: Tensor) -> Measured:
        losses = loss(batch)
        return Measured(losses, dict.fromkeys(losses, len(batch)))

    return Task(title, net, source, measured, "stage1")


def schedule_of(steps: int, optimizer: str = "sgd", checkpoint_every: int = 3) -> Schedule:
    settings = {"steps": steps, "optimizer": optimizer, "checkpoint_every": checkpoint_every, "log_every": 4}
    return msgspec.convert({**settings, "warmup_steps": 2, "decay": "cosine", "clip_norm": 1.0}, Schedule)
