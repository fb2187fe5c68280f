"""The rejects of a dataset, to compare with what a test expects."""

import msgspec
import pyarrow as pa

from data_prep.format.parquet import table_parts
from data_prep.format.rejects import SCHEMA, Reject


def read_rejects(uri: str) -> list[Reject]:
    return msgspec.convert(pa.Table.from_batches(table_parts(uri, SCHEMA, 1000), SCHEMA).to_pylist(), list[Reject])
