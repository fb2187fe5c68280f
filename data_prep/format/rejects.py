"""`rejects.parquet`: a row per record that was rejected for being broken, of the same kind and reason the first 100,000
of a source. How many may be."""

from typing import Literal

import msgspec
import pyarrow as pa

from data_prep.format.parquet import write_tables

EXCERPT_LENGTH = 200
MOST_LISTED = 100_000
"""Rows of one source, kind and reason; further rejects are counted alone, as memory would grow with them."""
# A set of a few images is not refused for a handful of broken records: up to 10 are allowed, but never above a quarter.
ALWAYS_ALLOWED = 10
NEVER_ALLOWED = 4

Kind = Literal["photograph", "object", "mask"]
"""A `mask` is lost, but its object is used."""


class Reject(msgspec.Struct, frozen=True, order=True):
    """One rejected thing.

    `file` is an annotation file's path as the manifest has it, `id` the image's or object's in the source (-1: it has
    none), `offset` the byte in an annotation file where its record begins (-1: not from one), `reason` a code,
    `excerpt` up to 200 characters of what was found.
    """

    source: str
    file: str
    kind: Kind
    id: int
    offset: int
    reason: str
    excerpt: str


def excerpt(data: bytes | str) -> str:
    """The first 200 characters, as text whatever the bytes are."""
    text = data if isinstance(data, str) else data[: 4 * EXCERPT_LENGTH].decode("utf-8", errors="replace")
    return text[:EXCERPT_LENGTH]


def allowed_rejects(listed: int, max_rejected: float) -> float:
    """The number of broken records allowed among `listed` ones: the fraction `max_rejected`, 0 to 1, and in any case
    ten, or a quarter of fewer than forty."""
    return max(max_rejected * listed, min(ALWAYS_ALLOWED, listed // NEVER_ALLOWED))


SCHEMA = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("file", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("id", pa.int64()),
        pa.field("offset", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("excerpt", pa.string()),
    ]
)


def write_rejects(uri: str, rejects: list[Reject]) -> None:
    """Write the rows sorted; equal rows give equal bytes."""
    rows = [msgspec.to_builtins(reject) for reject in sorted(rejects)]
    write_tables(uri, SCHEMA, [pa.Table.from_pylist(rows, schema=SCHEMA)])
