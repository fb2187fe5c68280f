"""Parquet files of a dataset: equal rows give equal bytes, and a file is read whole or refused."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.storage.errors import DataError
from data_prep.storage.storage import create, local_copy


def write_tables(uri: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write the tables one after another as one; it appears under its name only when whole."""
    with create(uri) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def table_parts(uri: str, schema: pa.Schema, rows_at_once: int) -> Iterator[pa.RecordBatch]:
    """The table, so many rows at a time; raises DataError if the file is missing, damaged, or has other columns."""
    try:
        # Threads of its own could outlive the reading and abort the process at its exit.
        with pq.ParquetFile(local_copy(uri), pre_buffer=False) as file:
            if not file.schema_arrow.equals(schema):
                raise DataError(f"{uri}: has other columns than this version knows; prepare the dataset again")
            yield from file.iter_batches(batch_size=rows_at_once, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{uri}: not a readable Parquet file ({error}); prepare the dataset again") from None
