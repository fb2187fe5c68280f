"""JSON files that an earlier run, or another process of this one, has written for us."""

from typing import TypeVar

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError
from data_prep.storage.storage import read

T = TypeVar("T")


def read_own(uri: str, kind: type[T], delete: str | None = None) -> T:
    """Reads one. `delete`: what is made anew once it is deleted; the file itself if not given.

    Raises DataError if the file is missing or damaged.
    """
    try:
        return msgspec.json.decode(read(uri), type=kind)
    except JSON_ERRORS as error:
        raise DataError(f"{uri}: damaged ({error}); delete {delete or 'it'} and give the command again") from None
