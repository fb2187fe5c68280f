"""Worker processes of this machine, forked from a process that has imported Beam and done nothing with it yet."""

import gc
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import BinaryIO, NoReturn

from apache_beam.runners.worker import sdk_worker_main

_all: list["ForkedWorker"] = []
_waiting: list["ForkedWorker"] = []


class ForkedWorker:
    """A process that waits for its work, or works, or has ended. Its own log goes to a file, of which only the last
    words are ever read: what goes wrong in the graph comes back as an error."""

    def __init__(self, pid: int, told_by: int, log: BinaryIO) -> None:
        self.pid = pid
        self._told_by, self._log, self._ended = told_by, log, False

    def tell(self, environment: dict[str, str]) -> None:
        """Let it begin to work, by Beam's own environment variables; where it has ended already, `wait` tells."""
        with suppress(BrokenPipeError):
            os.write(self._told_by, json.dumps(environment).encode() + b"\n")

    def wait(self) -> int:
        """Its exit status, once it has ended, negative for a signal; to be asked for once."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._ended = True
        return status

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        if not self._ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """The last line of its log."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 1000))
        lines = self._log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def fork(count: int, before: Callable[[int, int], None]) -> None:
    """Fork so many workers, for `take` to hand out; number i of n first calls `before(i, n)`.

    To be called before this process has threads, or connections of Beam's.
    """
    pipes = [os.pipe() for _ in range(count)]
    gc.freeze()  # what is there stays; unvisited by the collector, its pages stay shared
    gc.enable()
    for number, (told, told_by) in enumerate(pipes):
        log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  (as long as this process lives)
        pid = os.fork()
        if pid == 0:
            for _, others in pipes:
                os.close(others)  # so that the input ends when the process that tells has ended
            _work(told, log, partial(before, number, count))
        os.close(told)
        _all.append(ForkedWorker(pid, told_by, log))
    _waiting.extend(_all)


def take() -> ForkedWorker:
    """One that is waiting."""
    return _waiting.pop(0)


def end_all() -> None:
    """End all of them at once."""
    for worker in _all:
        worker.kill()


def _work(told: int, log: BinaryIO, before: Callable[[], None]) -> NoReturn:
    """What a worker does to its end, which comes at once: to take Beam's modules down takes a quarter of a second."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    status = 1
    try:
        before()
        if environment := os.fdopen(told).readline():
            os.environ.update(json.loads(environment))
            sdk_worker_main.main([])
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
