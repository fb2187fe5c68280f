"""The errors that users see: each is one sentence that names the file, the record and the remedy."""

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager

import msgspec

# What msgspec raises for bytes that are not the JSON document expected, bytes that are not even text included.
JSON_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class MaskxError(Exception):
    """A request that cannot be met. The command prints the message alone and exits with status 1."""


class ConfigError(MaskxError):
    """An option or preset that does not exist or does not fit the others."""


class RightsError(ConfigError):
    """A file or folder on disk that this user may not read or write."""


class DataError(MaskxError):
    """An input file or dataset that is missing, damaged, empty, or not what it should be."""


class StorageError(MaskxError):
    """Storage that does not answer or fails. This says nothing about the data in it. Trying again may help."""


class CheckpointError(MaskxError):
    """A checkpoint or model folder that is missing, damaged, or was made for something else."""


@contextmanager
def killed_workers_told(remedy: str) -> Iterator[None]:
    """Raise MaskxError, with that remedy, where a worker process is killed while the block waits for it."""
    try:
        yield
    except BrokenExecutor:
        raise MaskxError(f"a worker process was killed, often for lack of memory; {remedy}") from None
