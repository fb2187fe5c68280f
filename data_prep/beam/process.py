"""The process beside the one that prepares: it imports Beam, forks workers, lays a job out, and runs it when told to.

    python -m data_prep.beam.process

The job is a line of JSON (`jobs.Job`), the next line tells it to run, and it answers with another (`jobs.Answer`). When
its input ends, nobody waits for it any longer, and it ends with its workers.
"""

import gc
import os
import signal
import sys
from functools import partial
from threading import Thread
from typing import NoReturn

import msgspec

from data_prep.beam.imports import import_beam
from data_prep.beam.jobs import Answer, Job, lay_out
from data_prep.sources.ahead import read_ahead
from data_prep.sources.memory import return_large_blocks
from data_prep.sources.options import parse_sources
from data_prep.storage.errors import MaskxError


def main() -> None:
    """Import, fork, lay out, wait, run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the one who asks, and that is enough
    return_large_blocks()
    gc.disable()  # all that importing makes stays
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    import_beam()
    from data_prep.beam import forked_workers, graph  # noqa: F401  (all that will be needed, once for all)

    signal.signal(signal.SIGTERM, lambda *_: _end())
    forked_workers.fork(job.engine.workers, partial(_read_ahead, job))
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.write(answers, msgspec.json.encode(_run(job)) + b"\n")
    _end()


def _read_ahead(job: Job, number: int, count: int) -> None:
    read_ahead(parse_sources(job.sources), number, count)


def _run(job: Job) -> Answer:
    try:
        run = lay_out(job)
        if not sys.stdin.buffer.readline():
            _end()
        Thread(target=_end_with_input, daemon=True).start()
        run()
    except MaskxError as error:
        return Answer(type(error).__name__, str(error))
    return Answer()


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    _end()


def _end() -> NoReturn:
    """At once: all is written, and to take Beam's modules down in order takes a quarter of a second."""
    from data_prep.beam.forked_workers import end_all

    end_all()
    os._exit(0)


if __name__ == "__main__":
    main()
