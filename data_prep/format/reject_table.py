"""`rejects.parquet`: a row per thing that was rejected for being broken."""

import msgspec
import pyarrow as pa

from data_prep.format.parquet import read_rows, write_tables
from data_prep.format.rejects import Reject

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


def read_rejects(uri: str) -> list[Reject]:
    """All rows; raises DataError if the file is missing or damaged."""
    return msgspec.convert(read_rows(uri, SCHEMA), list[Reject])
