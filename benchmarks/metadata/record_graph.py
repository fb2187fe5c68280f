"""The last step where shards would be written: a shard's records alone, a line each."""

from collections.abc import Iterable

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from data_prep.annotated import annotated_photographs
from data_prep.compose import ShardCounts, compose
from data_prep.format.records import encode_record
from data_prep.format.storage import create
from data_prep.graph import PlannedDoFn, grouped_references
from data_prep.plan import Plan
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


def write_records(plan: Plan, workers: int) -> None:
    """Run the graph in this process, or in so many."""
    mode = ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"] if workers > 1 else []
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(mode)) as pipeline:
        _ = grouped_references(pipeline, plan) | beam.Flatten() | beam.ParDo(WriteRecords(plan.out))
