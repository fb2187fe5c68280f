"""Numbered parts whose work is a model's, on any engine, with Beam's RunInference.

    numbers of parts → read a part → RunInference (the model is loaded once a process) → write the part's file

The three steps are done one after the other for each part, so that an interrupted job loses only the parts in work.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference

from data_prep.beam.engine import Engine
from data_prep.beam.parts import distributed
from data_prep.beam.runners import hide_known_errors, job_name, run_graph


@dataclass(frozen=True)
class Inference:
    """What is done with each part; values that pickle can send to another machine.

    `read`: a part's number → what the part holds; `load`: → the model; `infer`: the model and what a part holds → the
    result; `write` keeps the result of the part of that number; twice, where an engine repeats a worker's task.
    """

    read: Callable[[int], Any]
    load: Callable[[], Any]
    infer: Callable[[Any, Any], Any]
    write: Callable[[int, Any], None]


def infer_parts(engine: Engine, out: str, command: str, parts: Sequence[int], inference: Inference) -> None:
    """Have workers do every part, in any order.

    `out` and `command` name the job. Raises ConfigError and DataError as `run_graph` does.
    """

    def build(pipeline: beam.Pipeline) -> None:
        _ = (
            distributed(pipeline, parts)
            | "Read a part" >> beam.ParDo(ReadPart(inference))
            | "Infer" >> RunInference(KeyedModelHandler(PartHandler(inference)))
            | "Write a part" >> beam.MapTuple(inference.write)
        )

    run_graph(engine, job_name(out, command), build)


class ReadPart(beam.DoFn):
    """A part's number → the number with what the part holds."""

    def __init__(self, inference: Inference) -> None:
        self._read = inference.read

    def setup(self) -> None:
        hide_known_errors()

    def process(self, part: int) -> Iterator[tuple[int, Any]]:
        yield part, self._read(part)


class PartHandler(ModelHandler[Any, Any, Any]):
    """What a part holds → its result. A part is not held back for others: it is a batch of its own."""

    def __init__(self, inference: Inference) -> None:
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._inference = inference

    def load_model(self) -> Any:
        """Called once a process, whose threads share the model."""
        return self._inference.load()

    def run_inference(self, batch: Sequence[Any], model: Any, _arguments: Any = None) -> list[Any]:
        """The results of parts."""
        return [self._inference.infer(model, part) for part in batch]

    def get_num_bytes(self, _batch: Sequence[Any]) -> int:
        """Not counted: Beam's own way, for its metrics, is to pickle what the part holds once more."""
        return 0
