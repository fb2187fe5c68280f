"""A training on several ranks, each a process on the CPU with one thread: forked from one that has imported torch, or
started by torchrun itself."""

import multiprocessing
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue

from tests.processes import REPOSITORY

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["maskx_model.training.stage1", "maskx_model.training.stage2", "maskx_model.training.joint"]
)
TIMEOUT = 240


def on_ranks(ranks: int, function: Callable[..., object], *arguments: object) -> list[str]:
    """What the function returns on each of so many ranks, as text, by rank; fails if it raises on one."""
    answers = _answers(ranks, function, arguments)
    failed = {rank: error for rank, (_, error) in enumerate(answers) if error is not None}
    assert not failed, f"ranks that failed: {failed}"
    return [result for result, _ in answers]


def errors_on_ranks(ranks: int, function: Callable[..., object], *arguments: object) -> list[str]:
    """What the function raises on each of so many ranks, as text, by rank; fails if it returns on one."""
    answers = _answers(ranks, function, arguments)
    ended = {rank: result for rank, (result, error) in enumerate(answers) if error is None}
    assert not ended, f"ranks that did not fail: {ended}"
    return [error for _, error in answers if error is not None]


def _answers(
    ranks: int, function: Callable[..., object], arguments: tuple[object, ...]
) -> list[tuple[str, str | None]]:
    """Of each rank what the function returned, and what it raised, None where it raised nothing."""
    answers: SimpleQueue[tuple[int, str, str | None]] = FORKS.SimpleQueue()
    port = free_port()
    own = [(rank, ranks, port, function, arguments, answers) for rank in range(ranks)]
    processes = [FORKS.Process(target=_on_rank, args=each) for each in own]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT)
        if process.is_alive():
            process.kill()
            process.join()
    heard = [answers.get() for _ in range(ranks) if not answers.empty()]
    said = {rank: (result, error) for rank, result, error in heard}
    return [said.get(rank, ("", f"no answer, exit code {process.exitcode}")) for rank, process in enumerate(processes)]


def _on_rank(
    rank: int,
    ranks: int,
    port: int,
    function: Callable[..., object],
    arguments: tuple[object, ...],
    answers: "SimpleQueue[tuple[int, str, str | None]]",
) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    try:
        answers.put((rank, str(function(*arguments)), None))
    except Exception as error:
        traceback.print_exc()
        answers.put((rank, "", str(error)))
        sys.exit(1)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        port: int = own.getsockname()[1]
        return port


def torchrun(ranks: int, module: str, *arguments: str, restarts: int = 0) -> "subprocess.Popen[str]":
    """Start `python -m MODULE ARGUMENTS` on that many ranks of this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return subprocess.Popen(
        [*launcher, f"--max-restarts={restarts}", "-m", module, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
