"""The process beside the one that prepares: it imports Beam, forks workers, and runs one job when it is asked to.

    python -m data_prep.beam_process WORKERS SOURCE …

It is asked by a line of JSON (`jobs.Request`), and answers with another (`jobs.Answer`). When its input ends, nobody
waits for it any longer, and it ends with its workers.
"""

import gc
import os
import signal
import sys
from functools import partial
from threading import Thread
from typing import NoReturn

import msgspec

from data_prep.beam_imports import import_beam
from data_prep.format.errors import MaskxError
from data_prep.jobs import Answer, Request, run_job
from data_prep.memory import return_large_blocks
from data_prep.sources.ahead import read_ahead
from data_prep.sources.options import parse_sources


def main() -> None:
    """Import, fork, wait, run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the one who asks, and that is enough
    return_large_blocks()
    gc.disable()  # all that importing makes stays
    workers, *sources = sys.argv[1:]
    import_beam()
    from data_prep import forked_workers, graph, watched_workers  # noqa: F401  (all that will be needed, once for all)

    signal.signal(signal.SIGTERM, lambda *_: _end())
    forked_workers.fork(int(workers), partial(_read_ahead, sources))
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if asked := sys.stdin.buffer.readline():
        Thread(target=_end_with_input, daemon=True).start()
        os.write(answers, msgspec.json.encode(_run(asked)) + b"\n")
    _end()


def _read_ahead(sources: list[str], number: int, count: int) -> None:
    read_ahead(parse_sources(tuple(sources)) if sources else (), number, count)


def _run(asked: bytes) -> Answer:
    request = msgspec.json.decode(asked, type=Request)
    try:
        run_job(request.engine, request.job, request.out)
    except MaskxError as error:
        return Answer(type(error).__name__, str(error))
    return Answer()


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    _end()


def _end() -> NoReturn:
    """At once: all is written, and to take Beam's modules down in order takes a quarter of a second."""
    from data_prep.forked_workers import end_all

    end_all()
    os._exit(0)


if __name__ == "__main__":
    main()
