"""The rejects of a dataset, to compare with what a test expects."""

import msgspec

from data_prep.format.parquet import read_table
from data_prep.format.rejects import SCHEMA, Reject


def read_rejects(uri: str) -> list[Reject]:
    return msgspec.convert(read_table(uri, SCHEMA).to_pylist(), list[Reject])
