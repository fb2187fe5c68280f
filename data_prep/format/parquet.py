"""Parquet files of a dataset: equal rows give equal bytes, and a file is read whole or refused."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.storage.errors import DataError
from data_prep.storage.storage import create, read


def write_tables(uri: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write the tables one after another as one; it appears under its name only when whole."""
    with create(uri) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def read_table(uri: str, schema: pa.Schema) -> pa.Table:
    """The whole table; raises DataError if the file is missing, damaged, or has other columns."""
    data = pa.BufferReader(read(uri))
    try:
        # pq.read_table would leave the work to threads that can outlive it and abort the process at its exit.
        table = pq.ParquetFile(data, pre_buffer=False).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{uri}: not a readable Parquet file ({error}); prepare the dataset again") from None
    if not table.schema.equals(schema):
        raise DataError(f"{uri}: has other columns than this version knows; prepare the dataset again")
    return table
