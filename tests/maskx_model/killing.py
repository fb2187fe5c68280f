"""Start a training in a process of its own, and kill it for real."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def kill_in_the_middle(command: list[str], checkpoints: Path, after: int, timeout: float = 300) -> None:
    """Run `python COMMAND…`, send SIGKILL when a checkpoint of at least `after` steps stands; fails if it ends before.

    `checkpoints` is a glob's folder: its `step-*` entries are looked at.
    """
    process = subprocess.Popen(
        [sys.executable, *command], cwd=REPOSITORY, stderr=subprocess.PIPE, env=os.environ, text=True
    )
    give_up = time.monotonic() + timeout
    while process.poll() is None and newest_step(checkpoints) < after:
        if time.monotonic() > give_up:
            process.kill()
            raise TimeoutError(f"{checkpoints}: no checkpoint of step {after} in {timeout} seconds")
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, f"ended by itself ({process.returncode}): {errors[-2000:]}"


def newest_step(checkpoints: Path) -> int:
    """The step of the newest checkpoint in that folder; 0 where there is none."""
    steps = [int(path.name.removeprefix("step-")) for path in checkpoints.glob("step-*")]
    return max(steps, default=0)
