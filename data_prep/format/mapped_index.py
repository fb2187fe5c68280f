"""`index.parquet` as columns that all processes of a machine share: an Arrow file in the scratch folder, mapped.

Its pages are the operating system's, which has them in memory once, however many processes map them. What travels to
another process is the file's path.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from data_prep.format.index import ROWS_AT_ONCE, SCHEMA
from data_prep.format.parquet import table_parts
from data_prep.storage.errors import DataError
from data_prep.storage.scratch import locked, require_room, scratch_folder, use
from data_prep.storage.storage import absolute, create, info

_NAME = "index.arrow"
_UNPACKED = 20
"""The most bytes of the columns for a byte of index.parquet; twelve are usual."""


@dataclass(frozen=True)
class MappedIndex:
    """An index as a mapped Arrow file on this machine; it stays there as long as a process uses it."""

    path: Path

    @cached_property
    def table(self) -> pa.Table:
        """All rows, in the order of the shards (`index.SCHEMA`), in chunks of `ROWS_AT_ONCE`; none of it is copied."""
        use(self.path.parent)
        with pa.memory_map(str(self.path)) as file:
            return pa.ipc.open_file(file).read_all()

    def __reduce__(self) -> tuple[type["MappedIndex"], tuple[Path]]:
        return MappedIndex, (self.path,)


def map_index(uri: str) -> MappedIndex:
    """The index at a URI, copied into the scratch folder as columns if this version of it is not there yet.

    Raises DataError if the file is missing, damaged, or has other columns.
    """
    found = info(uri)
    if found is None:
        raise DataError(f"{uri}: no such file")
    name = f"{absolute(uri)}\n{found.bytes}\n{found.version}\n{SCHEMA}"
    path = scratch_folder() / "columns" / hashlib.sha256(name.encode()).hexdigest()[:24] / _NAME
    use(path.parent)
    with locked(path):
        if not path.exists():
            require_room(uri, _UNPACKED * found.bytes)
            with create(path) as file, pa.ipc.new_file(file, SCHEMA) as writer:
                for part in table_parts(uri, SCHEMA, ROWS_AT_ONCE):
                    writer.write_batch(part)
    return MappedIndex(path)
