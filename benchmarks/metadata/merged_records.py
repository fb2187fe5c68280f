"""`maskx data prepare` up to its records: the same plan, the same graph, but records alone where shards would be."""

import argparse
from collections.abc import Iterable

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from data_prep.annotated import annotated_photographs
from data_prep.compose import ShardCounts, compose
from data_prep.format.records import encode_record
from data_prep.format.storage import create
from data_prep.graph import PlannedDoFn, grouped_references
from data_prep.pipeline import SHARD_BYTES
from data_prep.plan import write_plan
from data_prep.planning import make_plan
from data_prep.sources.options import parse_sources
from data_prep.tally import Tally


class WriteRecords(PlannedDoFn):
    """(shard number, references) → the shard's records, a line each."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        number, packed = element
        tally, counts = Tally(), ShardCounts()
        with create(f"{self.out}/records/{number:06d}.jsonl") as file:
            for planned, annotated in annotated_photographs(self.plan, number, packed, self.files):
                file.write(encode_record(compose(planned.photograph, annotated, tally, counts)))
                file.write(b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", action="append", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    planned = make_plan(options.out, parse_sources(tuple(options.source)), SHARD_BYTES, None)
    write_plan(planned.plan, planned.photographs, planned.tables)
    mode = ["--direct_running_mode=multi_processing", f"--direct_num_workers={options.workers}"]
    graph = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(mode if options.workers > 1 else []))
    with graph as pipeline:
        _ = grouped_references(pipeline, planned.plan) | beam.Flatten() | beam.ParDo(WriteRecords(options.out))


if __name__ == "__main__":
    main()
