"""What Kubernetes runs in a step's container before it ends it (`infra/argo`): the step's Python gets SIGTERM, and the
container stays until it has ended.

Kubernetes' own SIGTERM goes to the container's first process, Argo's. Between that and Python is a program of KFP's,
which SIGTERM ends at once, and the container with it: a training would have no time to save.

    python -m maskx_model.launch.pre_stop
"""

import os
import signal
from contextlib import suppress

import psutil

FIRST = 1
"""The container's first process."""


def end_python(first: int) -> None:
    """Send SIGTERM to the Python processes below the process `first`, and wait for their end, however long it takes.

    One that another of them started is left to that one.
    """
    running = [each for each in psutil.Process(first).children(recursive=True) if _is_python(each)]
    ids = {each.pid for each in running}
    outermost = [each for each in running if not ids & _pids_above(each)]
    for each in outermost:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGTERM)
    psutil.wait_procs(outermost)


def _is_python(process: psutil.Process) -> bool:
    """False for one that has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        name: str = process.name()
        return process.pid != os.getpid() and name.startswith("python")
    return False


def _pids_above(process: psutil.Process) -> set[int]:
    """None for one that has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return {each.pid for each in process.parents()}
    return set()


if __name__ == "__main__":
    end_python(FIRST)
