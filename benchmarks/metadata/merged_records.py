"""`maskx data prepare` up to its records: the same plan, the same graph, but records alone instead of shards."""

import argparse

from benchmarks.metadata.record_graph import write_records
from data_prep.beam.engine import Engine
from data_prep.plan.plan import write_plan
from data_prep.plan.planning import make_plan
from data_prep.prepare.options import SHARD_BYTES
from data_prep.sources.options import parse_sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", action="append", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    planned, contents = make_plan(options.out, parse_sources(tuple(options.source)), SHARD_BYTES, None)
    write_plan(planned.plan, contents)
    del contents  # as in prepare, which holds `planned` until the end
    write_records(options.out, Engine(workers=options.workers))


if __name__ == "__main__":
    main()
