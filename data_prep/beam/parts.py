"""Numbered parts of a work that writes its own results, on any engine: no data crosses between workers."""

from collections.abc import Callable, Sequence

import apache_beam as beam

from data_prep.beam.engine import Engine
from data_prep.beam.runners import hide_known_errors, job_name, run_graph

Work = Callable[[int], None]
"""Does the part of that number; a value that pickle can send to another machine."""


def run_parts(engine: Engine, out: str, command: str, parts: Sequence[int], work: Work) -> None:
    """Have workers do every part, in any order. A part may be done twice, where an engine repeats a worker's task.

    `out` and `command` name the job. Raises ConfigError and DataError as `run_graph` does.
    """

    def build(pipeline: beam.Pipeline) -> None:
        _ = distributed(pipeline, parts) | "Do a part" >> beam.ParDo(DoPart(work))

    run_graph(engine, job_name(out, command), build)


def distributed(pipeline: beam.Pipeline, parts: Sequence[int]) -> beam.PCollection:
    """The numbers of the parts, spread over the workers."""
    return pipeline | "Number the parts" >> beam.Create(list(parts)) | "Distribute" >> beam.Reshuffle()


class DoPart(beam.DoFn):
    """A part's number → nothing: its result is a file."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        hide_known_errors()

    def process(self, part: int) -> None:
        self._work(part)
