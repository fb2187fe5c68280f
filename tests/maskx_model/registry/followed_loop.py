"""A small training that is followed, in a process of its own: `followed_loop.py WORLD OUT TRACKING_URI STEPS PAUSE…`.

Before step PAUSE + 1 it waits until there is a file `WORLD/PAUSE`: what must happen before that step has happened.
Each step is logged; a checkpoint stands every 50 steps, so that a training that was killed makes up to 49 of its steps
again. In the end `OUT/metrics.jsonl` has its metric lines.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from maskx_model.registry.live_training import followed
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.loop import train
from maskx_model.training.session import Session
from maskx_model.training.task import Losses
from tests.maskx_model.registry.live import training
from tests.maskx_model.training.small_training import ORIGIN, schedule_of, small_net, task

CHECKPOINT_EVERY = 50


def main(world: Path, out: Path, tracking_uri: str, steps: int, pauses: set[int]) -> None:
    """Train, followed by that server."""
    net = small_net()
    schedule = replace(schedule_of(steps, checkpoint_every=CHECKPOINT_EVERY), log_every=1)

    def batches(start: int) -> Iterator[Tensor]:
        for step in range(start, steps):
            while step in pauses and not (world / str(step)).exists():
                time.sleep(0.01)
            yield torch.randn(4, 3, generator=torch.Generator().manual_seed(step))

    def loss(batch: Tensor) -> Losses:
        return {"fit": (net(batch) - batch.sum(1, keepdim=True)).square().mean()}

    with followed(training(world, out, steps), tracking_uri) as observers:
        session = Session(Checkpoints(str(out), ORIGIN), observers)
        metrics = train(task(net, loss, batches), schedule, 0.05, seed=1, session=session)
    (out / "metrics.jsonl").write_bytes(metrics)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), set(map(int, sys.argv[5:])))
