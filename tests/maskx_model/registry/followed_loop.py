"""A small training that is followed, in a process of its own: `followed_loop.py WORLD OUT TRACKING_URI STEPS`.

The losses are a function of the step. A checkpoint stands every 50 steps, so that a training that was killed makes up
to 49 of its steps again.
"""

import sys
import time
from pathlib import Path

import torch
from torch import nn

from maskx_model.registry.live_training import followed
from tests.maskx_model.registry.live import training

CHECKPOINT_EVERY = 50


def loss_of(step: int) -> float:
    """What the training logs at that step."""
    return round(1 / step, 6)


def main(world: Path, out: Path, tracking_uri: str, steps: int) -> None:
    checkpoint = out / "checkpoint.txt"
    start = int(checkpoint.read_text()) if checkpoint.exists() else 0
    net = nn.Linear(32, 32)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with followed(training(world, out, steps), tracking_uri) as observers:
        assert observers.sink is not None
        for step in range(start + 1, steps + 1):
            optimizer.zero_grad()
            net(torch.randn(8, 32)).square().mean().backward()
            optimizer.step()
            observers.sink.write(step, {"loss": loss_of(step)})
            time.sleep(0.01)
            if step % CHECKPOINT_EVERY == 0:
                checkpoint.write_text(str(step))
        observers.sink.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
