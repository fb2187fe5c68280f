"""JSON files that we write, and read again in a later run or in another process of this one."""

from pathlib import Path
from typing import TypeVar

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import read, write

T = TypeVar("T")


def write_own(uri: str | Path, value: object) -> None:
    """Write one, indented, with a line feed at its end."""
    write(uri, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def read_own(uri: str | Path, kind: type[T], delete: str | None = None) -> T:
    """Reads one. `delete`: what is made anew once it is deleted; the file itself if not given.

    Raises DataError if the file is missing or damaged.
    """
    try:
        return msgspec.json.decode(read(uri), type=kind)
    except JSON_ERRORS as error:
        raise DataError(f"{uri}: damaged ({error}); delete {delete or 'it'} and give the command again") from None
