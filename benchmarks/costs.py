"""What a piece of model code costs: its time, and the memory that it needs at most, each in a process of its own."""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple


class Cost(NamedTuple):
    """Median wall-clock milliseconds of a call, and MB that the process grew by at most while calling."""

    milliseconds: float
    megabytes: float


def cost(prepare: Callable[[], Callable[[], object]], repeats: int) -> Cost:
    """Run `prepare` in a new process, then what it returns so many times (and once before, to warm up).

    Memory is the growth of the largest resident size from after the preparation on.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(prepare, repeats, sender))
    process.start()
    sender.close()
    try:
        measured: Cost = receiver.recv()
    except EOFError:
        raise RuntimeError("the measured process ended before it could tell its cost") from None
    finally:
        process.join()
    return measured


def _measure(prepare: Callable[[], Callable[[], object]], repeats: int, sender: Connection) -> None:
    call = prepare()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sender.send(Cost(1000 * statistics.median(times[1:]), grown / 1024))


def show(costs: dict[str, Cost]) -> None:
    """Print a line for each way."""
    for name, (milliseconds, megabytes) in costs.items():
        print(f"{name:<42} {milliseconds:10.1f} ms {megabytes:10.1f} MB")
