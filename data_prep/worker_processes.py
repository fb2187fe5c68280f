"""Processes of this machine for Beam's workers. To start one takes seconds: they start while the sources are read."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import BinaryIO

from data_prep.beam_worker import READY

COMMAND = [sys.executable, "-m", "data_prep.beam_worker"]

_waiting: list["Future[WorkerProcess]"] = []


class WorkerProcess:
    """A process that runs `beam_worker`, ready to work or already at its end. Its own log goes to a file, of which only
    the last words are ever read: what goes wrong in the graph comes back as an error."""

    def __init__(self, number: int = 0, count: int = 1, sources: Sequence[str] = ()) -> None:
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process lives)
        command = [*COMMAND, str(number), str(count), *sources]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input = self._process.stdin
        self._process.stdout.read(len(READY))

    def tell(self, environment: dict[str, str]) -> None:
        """Let it begin to work; where it has ended already, `wait` tells."""
        with suppress(BrokenPipeError):
            self._input.write(json.dumps(environment).encode() + b"\n")
            self._input.flush()

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, once it has ended; raises subprocess.TimeoutExpired."""
        return self._process.wait(seconds)

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """The last line of its log."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 1000))
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


@contextmanager
def starting(count: int, sources: Sequence[str]) -> Iterator[None]:
    """Have so many processes start, read the sources ahead and wait for their work; those that got none are ended.

    No more of them start at once than there are cores beside the one that plans.
    """
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1)) as starters:
        mine = [starters.submit(WorkerProcess, number, count, sources) for number in range(count)]
        _waiting.extend(mine)
        try:
            yield
        finally:
            for process in mine:
                if process in _waiting:
                    _waiting.remove(process)
                    if not process.cancel():
                        process.result().end()


def take_worker_process() -> WorkerProcess:
    """One that is waiting, or a new one."""
    return _waiting.pop(0).result() if _waiting else WorkerProcess()
