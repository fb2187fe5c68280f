"""Samples of some rows, each once and in a given order: their bytes are read ahead, those of neighbors at once."""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice

from data_prep.format.index import IndexRow
from data_prep.format.read_at_once import Stretch, stretches
from data_prep.storage.errors import DataError
from data_prep.storage.read_ahead import begun_ahead, reading_threads
from maskx_model.data.decode import Decoder
from maskx_model.data.loading import PLAIN
from maskx_model.data.read_blocks import read_stretch
from maskx_model.data.reader import SampleReader
from maskx_model.data.samples import Sample

AHEAD = 16
"""Reads in flight: an object store answers one in some 30 ms."""
AT_ONCE = 8
"""The most neighbors that come with one read."""


def samples_ahead(reader: SampleReader, rows: Iterable[IndexRow]) -> Generator[Sample | DataError]:
    """For each row its sample, or the error of one that is damaged.

    Close it where not all are taken: nothing more is read then. Storage that fails or refuses raises StorageError or
    ConfigError.
    """
    decoder = Decoder(reader, seed=0, flip=False, loading=PLAIN)
    with reading_threads(AHEAD) as threads:
        begun = (
            threads.submit(read_stretch, reader.dataset, stretch, list(range(len(stretch.rows))))
            for stretch in _short_stretches(rows)
        )
        for coming in begun_ahead(begun, AHEAD):
            yield from map(decoder.decode, coming.result())


def _short_stretches(rows: Iterable[IndexRow]) -> Iterator[Stretch]:
    left = iter(rows)
    while some := list(islice(left, AT_ONCE)):
        yield from stretches(some)
