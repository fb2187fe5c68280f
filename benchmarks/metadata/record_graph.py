"""The graph with another last step: a shard's records, a line each, instead of the shard."""

from collections.abc import Iterable

import apache_beam as beam

from data_prep.beam.engine import Engine
from data_prep.beam.graph import PlannedDoFn, grouped_references
from data_prep.beam.runners import run_graph
from data_prep.format.records import encode_record
from data_prep.plan.plan import read_planned_images
from data_prep.shards.build_record import ShardContent, build_record
from data_prep.shards.locate import unpack
from data_prep.shards.read_annotations import ObjectReader, by_image
from data_prep.sources.counts import Counts
from data_prep.storage.storage import create


class WriteRecords(PlannedDoFn):
    """(shard number, references) → the shard's records, a line each."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        number, packed = element
        counts, content = Counts(), ShardContent()
        with create(f"{self.out}/records/{number:06d}.jsonl") as file:
            images, reader = read_planned_images(self.out, number), ObjectReader(self.plan, self.files)
            for planned, own in zip(images, by_image(unpack(packed), len(images)), strict=True):
                annotated = reader.read(planned.merged, own)
                file.write(encode_record(build_record(planned.merged, annotated, counts, content)))
                file.write(b"\n")


def write_records(out: str, engine: Engine) -> None:
    """Write the records of the plan at `out`."""

    def build(pipeline: beam.Pipeline) -> None:
        held_out, training = grouped_references(pipeline, out)
        _ = held_out | "Write a held-out shard's records" >> beam.ParDo(WriteRecords(out))
        _ = training | "Write a training shard's records" >> beam.ParDo(WriteRecords(out))

    run_graph(engine, "records", build)
