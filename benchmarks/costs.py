"""What a piece of model code costs: its time, and the memory that it needs at most, each in a process of its own."""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

PRELOADED = ("torchvision.models.detection", "maskx_model.model.maskx_rcnn")
"""Imported once for all measured processes: it takes longer than a small measurement."""


class Cost(NamedTuple):
    """Median wall-clock milliseconds of a call, MB that the process grew by at most while calling, or that a GPU held
    at most, and median CPU-milliseconds of all its threads."""

    milliseconds: float
    megabytes: float
    cpu_milliseconds: float


def cost(prepare: Callable[[], Callable[[], object]], repeats: int, device: str = "cpu") -> Cost:
    """Run `prepare` in a new process, then what it returns `repeats` times (and once before, to warm up).

    Memory is what the process (on Linux) needs at most above what it holds after the preparation; on a GPU what torch
    has held on it at most. A call must wait for the GPU.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(prepare, repeats, device, sender))
    process.start()
    sender.close()
    try:
        measured: Cost = receiver.recv()
    except EOFError:
        raise RuntimeError("the measured process ended before it could tell its cost") from None
    finally:
        process.join()
    return measured


def _measure(prepare: Callable[[], Callable[[], object]], repeats: int, device: str, sender: Connection) -> None:
    call = prepare()
    before = _forget_the_peak()
    times, cpu_times = [], []
    for _ in range(repeats + 1):
        start, cpu_start = time.perf_counter(), time.process_time()
        call()
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if device != "cpu":
        import torch

        grown = torch.cuda.max_memory_allocated() / 2**20
    sender.send(Cost(1000 * statistics.median(times[1:]), grown, 1000 * statistics.median(cpu_times[1:])))


def _forget_the_peak() -> int:
    """Set the process's largest resident size back to what it holds now, kB, which is returned."""
    Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def show(costs: dict[str, Cost]) -> None:
    """Print a line for each way."""
    for name, (milliseconds, megabytes, cpu_milliseconds) in costs.items():
        print(f"{name:<42} {milliseconds:10.1f} ms {megabytes:10.1f} MB {cpu_milliseconds:10.1f} CPU-ms")
