"""Start a training in a process of its own, and kill it for real."""

import sys
from pathlib import Path

from tests.processes import kill_when


def kill_in_the_middle(command: list[str], checkpoints: Path, after: int) -> None:
    """Run `python COMMAND…`, send SIGKILL when a checkpoint of at least `after` steps stands; fails if it ends before.

    `checkpoints` is a glob's folder: its `step-*` entries are looked at.
    """
    kill_when([sys.executable, *command], lambda: newest_step(checkpoints) >= after)


def newest_step(checkpoints: Path) -> int:
    """The step of the newest checkpoint in that folder; 0 where there is none."""
    steps = [int(path.name.removeprefix("step-")) for path in checkpoints.glob("step-*")]
    return max(steps, default=0)
