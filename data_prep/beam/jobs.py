"""Jobs for an engine: a function of this project that lays out a Beam graph, in this process or in another.

With several worker processes of this machine, Beam runs in a process beside this one: it starts while the sources are
read, imports what takes most of a second to import, forks the workers, which so need not, and lays the graph out.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module

import msgspec

from data_prep.beam.engine import Engine
from data_prep.beam.imports import import_beam
from data_prep.storage import errors

# Runs what was laid out; raises what `engines.lay_out` says.
Run = Callable[[], None]


class Job(msgspec.Struct, frozen=True):
    """`function`: MODULE:FUNCTION, which takes `out` and `engine` and returns a Run; `sources` are read ahead of it."""

    function: str
    out: str
    engine: Engine
    sources: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True):
    """How a job in the process beside this one ended: well, or with an error of ours."""

    error: str = ""
    text: str = ""


def lay_out(job: Job) -> Run:
    """Lay it out in this process."""
    import_beam(job.engine.runner)
    module, _, function = job.function.partition(":")
    run: Run = getattr(import_module(module), function)(job.out, job.engine)
    return run


@contextmanager
def starting(job: Job) -> Iterator[Run]:
    """What runs the job, once; its processes start now."""
    if job.engine.workers == 1:
        yield partial(_run_here, job)
        return
    command = [sys.executable, "-m", "data_prep.beam.process"]
    with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            _tell(process, msgspec.json.encode(job))
            yield partial(_run_there, process)
        finally:
            process.terminate()


def _run_here(job: Job) -> None:
    lay_out(job)()


def _run_there(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    _tell(process, b"now")
    said = process.stdout.readline()
    if not said:
        raise errors.DataError(
            f"the job failed: the process that runs Beam {how_it_ended(process.wait())}; "
            "given again, the command goes on with the shards that are missing"
        )
    answer = msgspec.json.decode(said, type=Answer)
    if answer.error:
        raise getattr(errors, answer.error)(answer.text)


def _tell(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended; that shows when its answer is read
        process.stdin.write(line + b"\n")


def how_it_ended(status: int) -> str:
    """A process's exit status, in words."""
    killed = f"was killed by signal {-status} (9: often for want of memory)"
    return killed if status < 0 else f"ended with {status} before its work was done"
