"""The last step where shards would be written: a shard's records alone, a line each."""

from collections.abc import Iterable

import apache_beam as beam

from data_prep.annotated import annotated_photographs
from data_prep.compose import ShardCounts, compose
from data_prep.engines import Engine, run
from data_prep.format.records import encode_record
from data_prep.format.storage import create
from data_prep.graph import PlannedDoFn, grouped_references
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


def write_records(out: str, engine: Engine) -> None:
    """Run the graph on that engine, for the plan that stands at `out`."""

    def build(pipeline: beam.Pipeline) -> None:
        _ = grouped_references(pipeline, out) | beam.Flatten() | beam.ParDo(WriteRecords(out))

    run(engine, "records", build)
