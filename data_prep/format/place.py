"""What every kind of place where files live can do: a folder on disk (`disk.py`), a bucket of objects (`s3.py`)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class FileInfo:
    """A file's size in bytes, and its `version`: a text that changes when the file does."""

    bytes: int
    version: str


class Place(Protocol):
    """A module with these functions; `storage.py` says what each does, and picks the module by the URI."""

    def read(self, uri: str) -> bytes: ...

    def read_range(self, uri: str, offset: int, length: int) -> bytes: ...

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]: ...

    def create_folder(self, uri: str, marker: str) -> AbstractContextManager[Path]: ...

    def info(self, uri: str) -> FileInfo | None: ...

    def finder(self, folder: str) -> Callable[[str], FileInfo | None]: ...

    def list_files(self, folder: str) -> list[str]: ...

    def exists(self, uri: str) -> bool: ...

    def is_folder(self, uri: str) -> bool: ...

    def remove(self, uri: str) -> None: ...

    def remove_folder(self, uri: str) -> None: ...

    def local_copy(self, uri: str) -> Path: ...

    def sha256(self, uri: str) -> str: ...
