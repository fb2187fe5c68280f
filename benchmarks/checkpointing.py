"""What checkpoints cost a training, and how soon it goes on after a stop.

    python -m benchmarks.checkpointing

A step of the real model's size is a minute of sleep in no benchmark: here the cost of a checkpoint is measured by
itself, the time that `Checkpoints.save` keeps the loop waiting and the CPU time of the thread that writes, for a module
of that many parameters with SGD's momentum, and held against an interval of a minute.
"""

import json
import tempfile
import time
from dataclasses import asdict, dataclass

import torch
import tyro
from torch import nn

from benchmarks.settings import print_settings
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.module_state import capture, restore


@dataclass(frozen=True)
class Options:
    """`parameters`: of the module, in millions (ResNet-50 with 3,001 classes has 59 that are trained). `interval`:
    seconds between two checkpoints."""

    parameters: float = 59.0
    interval: float = 60.0
    repeats: int = 5


def main(options: Options) -> None:
    """Save a few checkpoints and load the last."""
    print_settings(**asdict(options))
    layers = max(round(options.parameters * 1e6 / (1024 * 1024)), 1)
    module = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(layers)))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    waits, totals, work = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder, {"benchmark": 1})
        for step in range(1, options.repeats + 1):
            start, cpu = time.perf_counter(), time.process_time()
            checkpoints.save(capture(step, module, optimizer, b""))
            waits.append(time.perf_counter() - start)
            checkpoints.finish()
            totals.append(time.perf_counter() - start)
            work.append(time.process_time() - cpu)
        start = time.perf_counter()
        state = checkpoints.latest()
        assert state is not None and state.step == options.repeats
        restore(state, module, optimizer)
        load = time.perf_counter() - start
    wait, total, cpu_seconds = (sorted(each)[len(each) // 2] for each in (waits, totals, work))
    print(
        f"the loop waits {wait:.2f} s; the checkpoint stands after {total:.2f} s and {cpu_seconds:.2f} CPU-seconds; "
        f"loading takes {load:.2f} s"
    )
    print(
        json.dumps(
            {
                "ratio": wait / options.interval,
                "ratio_with_the_writers_cpu": cpu_seconds / options.interval,
                "wait_seconds": wait,
                "until_it_stands": total,
                "load_seconds": load,
            }
        )
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
