"""`maskx data prepare` up to its records: the same plan, the same graph, but records alone where shards would be."""

import argparse

from data_prep.beam.engine import Engine
from data_prep.beam.jobs import Job, starting
from data_prep.prepare.options import SHARD_BYTES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", action="append", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    engine = Engine(workers=options.workers)
    job = Job("benchmarks.metadata.record_graph:write_records", options.out, engine, tuple(options.source))
    with starting(job) as run:  # as in prepare, before what is heavy is imported
        import msgspec

        from data_prep.plan.plan import write_plan
        from data_prep.plan.planning import Planned, make_plan
        from data_prep.sources.options import parse_sources

        planned, contents = make_plan(options.out, parse_sources(job.sources), SHARD_BYTES, None)
        write_plan(planned.plan, contents)
        packed = msgspec.json.encode(planned)
        del planned, contents
        planned = msgspec.json.decode(packed, type=Planned)  # noqa: F841  (prepare holds it as long)
        run()


if __name__ == "__main__":
    main()
