"""A training on several ranks, each a process on the CPU, as torchrun starts them."""

import os
import subprocess
import sys

from tests.maskx_model.killing import REPOSITORY


def torchrun(ranks: int, module: str, *arguments: str, restarts: int = 0) -> list[str]:
    """The command that starts `python -m MODULE ARGUMENTS` on that many ranks of this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [*launcher, f"--max-restarts={restarts}", "-m", module, *arguments]


def run_ranks(ranks: int, module: str, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Runs it to its end; the caller looks at the exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        torchrun(ranks, module, *arguments),
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
