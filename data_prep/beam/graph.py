"""The Beam graph: references to records are grouped by shard, and shards are written, those held out of training first.

    byte ranges of annotation files → locate → references → group by shard ─┬→ write held-out shards ─┐ (when done)
    and every shard                      └→ counts                          └→ write training shards ←┘

Only references cross between workers; records and images are read where the shard is written, and every file appears
under its name when it is whole. A training shard excludes copies of held-out images, so it is written when all of
those are. So the bytes are the same for any runner and number of workers, and however often a worker is repeated.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import msgspec
import numpy as np
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from data_prep.beam.engine import Engine
from data_prep.beam.runners import hide_known_errors, job_name, run_graph
from data_prep.plan.held_out_rule import TRAIN
from data_prep.plan.plan import MappedFiles, counts_uri, read_plan, read_table, require_own
from data_prep.shards.held_out_copies import HeldOutGalleries
from data_prep.shards.locate import References, locate, pack
from data_prep.shards.results import is_finished
from data_prep.shards.write import write_shard
from data_prep.sources.counts import Counts, sum_counts
from data_prep.storage.errors import DataError
from data_prep.storage.storage import exists, remove, write

# Names of a step's outputs, beside TRAIN for training shards.
COUNTS, HELD_OUT = "counts", "held out"

# A worker collects references up to this size before it passes them on.
COLLECTED_BYTES = 1 << 22


def write_shards(out: str, engine: Engine) -> None:
    """Write every shard of the plan at `out`, and the counts of the annotation files beside the plan.

    Raises ConfigError and DataError as `run_graph` does; DataError also if the workers wrote to disks of their own.
    """
    remove(counts_uri(out))
    run_graph(engine, job_name(out), lambda pipeline: build_graph(pipeline, out))
    if not exists(counts_uri(out)):
        raise DataError(f"{out}: the workers' files are not seen here; --out must be a shared folder or s3://")


def build_graph(pipeline: beam.Pipeline, out: str) -> None:
    """Lay out the graph. Elements are numbers of byte ranges and shards, which the plan on disk defines."""
    held_out, training = grouped_references(pipeline, out)
    written = held_out | "Write a held-out shard" >> beam.ParDo(WriteShard(out))
    _ = training | "Write a training shard" >> beam.ParDo(WriteShard(out), beam.pvalue.AsList(written))


def grouped_references(pipeline: beam.Pipeline, out: str) -> tuple[beam.PCollection, beam.PCollection]:
    """Every shard's number with its references, once: those of held-out shards, and those of training shards.

    The counts are written beside the plan.
    """
    once = pipeline | "Once" >> beam.Impulse()
    numbers = once | "Number ranges and shards" >> beam.ParDo(ListNumbers(out)) | "Distribute" >> beam.Reshuffle()
    locate_each = beam.ParDo(Locate(out)).with_outputs(COUNTS, HELD_OUT, TRAIN)
    located = numbers | "Locate each record's image" >> locate_each
    _ = once | "Write the counts" >> beam.ParDo(WriteCounts(out), beam.pvalue.AsList(located[COUNTS]))
    return (
        located[HELD_OUT] | "Group by held-out shard" >> beam.GroupByKey(),
        located[TRAIN] | "Group by training shard" >> beam.GroupByKey(),
    )


class PlannedDoFn(beam.DoFn):
    """Reads the plan once per worker."""

    def __init__(self, out: str) -> None:
        self.out = out

    def setup(self) -> None:
        hide_known_errors()
        self.plan = read_plan(self.out)
        self.files = MappedFiles(self.plan)


class ListNumbers(PlannedDoFn):
    """Anything → the number of every byte range, and then numbers for every shard."""

    def process(self, _once: bytes) -> Iterable[int]:
        return range(len(self.plan.byte_ranges) + len(self.plan.shards))


class Locate(PlannedDoFn):
    """Byte range number → (shard number, references as bytes), and the counts of a bundle's byte ranges together.

    A shard's own number → (shard number, no references), so that a shard without annotations is written as well. A few
    large elements cost Beam far less time and memory than one for every byte range and shard.
    """

    def setup(self) -> None:
        super().setup()
        self._tables: dict[int, Any] = {}

    def start_bundle(self) -> None:
        self._references: dict[int, list[References]] = {}
        self._collected, self._counts = 0, Counts()

    def process(self, number: int) -> Iterator[Any]:
        if number >= len(self.plan.byte_ranges):
            yield self._output(number - len(self.plan.byte_ranges), b"")
            return
        byte_range = self.plan.byte_ranges[number]
        if byte_range.file not in self._tables:
            self._tables[byte_range.file] = read_table(self.out, byte_range.file)
        file, buffer = self.plan.files[byte_range.file], self.files[byte_range.file]
        groups, counts = locate(byte_range, file, buffer, self._tables[byte_range.file])
        self._counts.add(counts)
        for shard, references in groups:
            self._references.setdefault(shard, []).append(references)
            self._collected += references.nbytes
        if self._collected > COLLECTED_BYTES:
            yield from self._release()

    def finish_bundle(self) -> Iterator[Any]:
        for output in self._release():
            yield TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))
        counts = msgspec.json.encode(self._counts)
        yield TaggedOutput(COUNTS, GlobalWindows.windowed_value(counts))

    def _release(self) -> Iterator[Any]:
        for shard, references in self._references.items():
            yield self._output(shard, pack(np.concatenate(references)))
        self._references, self._collected = {}, 0

    def _output(self, shard: int, packed: bytes) -> TaggedOutput[Any, Any]:
        return TaggedOutput(TRAIN if self.plan.shards[shard].split == TRAIN else HELD_OUT, (shard, packed))


class WriteShard(PlannedDoFn):
    """(shard number, references) → the shard on disk, unless an earlier run wrote it; → its number.

    A training shard has the held-out shards as its side input, so it is written after them.
    """

    def setup(self) -> None:
        super().setup()
        self._galleries = HeldOutGalleries(self.plan)

    def process(self, element: tuple[int, Iterable[bytes]], _held_out: Iterable[int] = ()) -> Iterator[int]:
        number, references = element
        require_own(self.plan)
        if not is_finished(self.plan, number):
            write_shard(self.plan, number, references, self.files, self._galleries)
        yield number


class WriteCounts(beam.DoFn):
    """The sum of all counts → the file at `counts_uri`."""

    def __init__(self, out: str) -> None:
        self._out = out

    def process(self, _once: bytes, counts: Iterable[bytes]) -> None:
        write(counts_uri(self._out), sum_counts(counts))
