"""`rejects.parquet`: a row per thing that was rejected for being broken."""

import io
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.format.errors import DataError
from data_prep.format.storage import create, read

EXCERPT_LENGTH = 200

Kind = Literal["photograph", "object"]

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


class Reject(msgspec.Struct, frozen=True, order=True):
    """One rejected thing.

    `file` is a path below the source's folder, `id` the photograph's or object's in the source (-1: it has none),
    `offset` the byte in an annotation file where its record begins (-1: not from one), `reason` a code, `excerpt`
    up to 200 characters of what was found.
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


def write_rejects(uri: str, rejects: list[Reject]) -> None:
    """Write the rows sorted; equal rows give equal bytes."""
    rows = [msgspec.to_builtins(reject) for reject in sorted(rejects)]
    with create(uri) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file, compression="zstd")


def read_rejects(uri: str) -> list[Reject]:
    """All rows; raises DataError if the file is missing or damaged."""
    try:
        table = pq.read_table(io.BytesIO(read(uri)), schema=SCHEMA)
        return msgspec.convert(table.to_pylist(), list[Reject])
    except (pa.ArrowException, msgspec.ValidationError) as error:
        raise DataError(f"{uri}: not a list of rejects ({error}); prepare the dataset again") from None
