"""A worker process of Beam's that starts before there is work: it imports Beam, and waits to be told what to work on.

    python -m data_prep.beam_worker NUMBER COUNT SOURCE …

Before that it makes its share of the passes over the sources' annotation files. It says when it is ready. What it is
told are Beam's own environment variables, as a line of JSON; if its input ends instead, it is not needed.
"""

import json
import os
import sys

from data_prep.beam_imports import import_beam
from data_prep.memory import return_large_blocks
from data_prep.sources.ahead import read_ahead
from data_prep.sources.options import parse_sources

READY = b"ready\n"


def main() -> None:
    """Read ahead, import, wait, work."""
    return_large_blocks()
    number, count, *sources = sys.argv[1:]
    read_ahead(parse_sources(tuple(sources)) if sources else (), int(number), int(count))
    import_beam()
    from apache_beam.runners.worker import sdk_worker_main

    import data_prep.graph  # noqa: F401  (so that the graph's steps need not wait for it)

    os.write(sys.stdout.fileno(), READY)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    told = sys.stdin.readline()
    if told:
        os.environ.update(json.loads(told))
        sdk_worker_main.main(sys.argv)
    os._exit(0)  # all is written; to take Beam's modules down in order takes a quarter of a second


if __name__ == "__main__":
    main()
