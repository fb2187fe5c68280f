"""`index.parquet`: a row per image, enough to find it, filter it and read it with one ranged read."""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
import pyarrow as pa

from data_prep.format.parquet import write_tables


class IndexRow(msgspec.Struct, frozen=True):
    """One image.

    Offsets and lengths are bytes of the two tar members' contents in `shard` (a path below the dataset's URI);
    `ids` the image's id by source, `classes` the sorted distinct class names by source, `license` the source's
    text or URL.
    """

    key: str
    split: str
    part: str
    shard: str
    image_offset: int
    image_length: int
    record_offset: int
    record_length: int
    width: int
    height: int
    ids: dict[str, int]
    flickr_id: int | None
    license: str | None
    classes: dict[str, list[str]]


SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("split", pa.string()),
        pa.field("part", pa.string()),
        pa.field("shard", pa.string()),
        pa.field("image_offset", pa.int64()),
        pa.field("image_length", pa.int64()),
        pa.field("record_offset", pa.int64()),
        pa.field("record_length", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("ids", pa.map_(pa.string(), pa.int64())),
        pa.field("flickr_id", pa.int64()),
        pa.field("license", pa.string()),
        pa.field("classes", pa.map_(pa.string(), pa.list_(pa.string()))),
    ]
)


ROWS_AT_ONCE = 1 << 13
"""Rows that are written, read and converted together."""


def write_index(uri: str, rows: Iterable[IndexRow]) -> None:
    """Write the rows, in the order given, a few thousand at a time; equal rows give equal bytes."""
    write_tables(uri, SCHEMA, _tables(iter(rows)))


def _tables(rows: Iterator[IndexRow]) -> Iterator[pa.Table]:
    while group := list(islice(rows, ROWS_AT_ONCE)):
        columns = {name: [_cell(row, name) for row in group] for name in SCHEMA.names}
        yield pa.Table.from_pydict(columns, schema=SCHEMA)


def _cell(row: IndexRow, name: str) -> object:
    value = getattr(row, name)
    return sorted(value.items()) if isinstance(value, dict) else value


def index_rows(table: pa.Table) -> list[IndexRow]:
    """A table's rows, or those of a part of it."""
    return [IndexRow(**{**row, "ids": dict(row["ids"]), "classes": dict(row["classes"])}) for row in table.to_pylist()]
