"""The functions that every storage backend has: files on disk (`disk.py`) and objects in a bucket (`s3.py`)."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class FileInfo(NamedTuple):
    """A file's size in bytes, and its `version`, which changes when the file does."""

    bytes: int
    version: int | str


class Finder(Protocol):
    """A folder in which many files are looked for."""

    def __call__(self, path: str) -> FileInfo | None:
        """The file at a path below the folder; None where there is none."""
        ...

    def files(self) -> list[str]:
        """`list_files` of the folder."""
        ...


class Backend(Protocol):
    """A module with these functions; `storage.py` says what each does, and picks the module by the URI."""

    def read(self, uri: str) -> bytes: ...

    def read_range(self, uri: str, offset: int, length: int) -> bytes: ...

    def create(self, uri: str) -> AbstractContextManager[BinaryIO]: ...

    def create_folder(self, uri: str, marker: str) -> AbstractContextManager[Path]: ...

    def info(self, uri: str) -> FileInfo | None: ...

    def finder(self, folder: str) -> Finder: ...

    def list_files(self, folder: str) -> list[str]: ...

    def exists(self, uri: str) -> bool: ...

    def is_folder(self, uri: str) -> bool: ...

    def remove(self, uri: str) -> None: ...

    def remove_folder(self, uri: str) -> None: ...

    def local_copy(self, uri: str) -> Path: ...

    def sha256(self, uri: str) -> str: ...
