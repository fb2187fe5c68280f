"""Jobs for an engine: a function of this project that lays out a Beam graph and runs it, in this process or in another.

With several worker processes of this machine, Beam runs in a process beside this one: it starts while the sources are
read, imports what takes a second to import, and forks the workers, which so need not.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module

import msgspec

from data_prep.beam_imports import import_beam
from data_prep.engines import Engine
from data_prep.format import errors

# Runs `MODULE:FUNCTION` with the dataset's place and the engine; raises what it raises.
RunJob = Callable[[str, str], None]


class Answer(msgspec.Struct, frozen=True):
    """How a job in the process beside this one ended: well, or with an error of ours."""

    error: str = ""
    text: str = ""


class Request(msgspec.Struct, frozen=True):
    """The job that is asked for."""

    job: str
    out: str
    engine: Engine


def run_job(engine: Engine, job: str, out: str) -> None:
    """Run it in this process."""
    import_beam(engine.runner)
    module, _, function = job.partition(":")
    getattr(import_module(module), function)(out, engine)


@contextmanager
def starting(engine: Engine, sources: Sequence[str]) -> Iterator[RunJob]:
    """What runs a job on this engine, once; its processes start now, and read the sources' files ahead."""
    if engine.workers == 1:
        yield lambda job, out: run_job(engine, job, out)
        return
    command = [sys.executable, "-m", "data_prep.beam_process", str(engine.workers), *sources]
    with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield lambda job, out: _ask(process, Request(job, out, engine))
        finally:
            process.terminate()


def _ask(process: subprocess.Popen[bytes], request: Request) -> None:
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):  # it has ended; that shows at once
        process.stdin.write(msgspec.json.encode(request) + b"\n")
    said = process.stdout.readline()
    if not said:
        raise errors.DataError(
            f"the job failed: the process that runs Beam {how_it_ended(process.wait())}; "
            "given again, the command goes on with the shards that are missing"
        )
    answer = msgspec.json.decode(said, type=Answer)
    if answer.error:
        raise getattr(errors, answer.error)(answer.text)


def how_it_ended(status: int) -> str:
    """A process's exit status, in words."""
    killed = f"was killed by signal {-status} (9: often for want of memory)"
    return killed if status < 0 else f"ended with {status} before its work was done"
