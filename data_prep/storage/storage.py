"""Where bytes live: the one module through which datasets, models and reports are read and written.

A location is a URI: a path or `file://…` for what is on disk, `s3://bucket/prefix` for what is in object storage
(`s3_client.py` says how it is reached). All functions raise ConfigError where credentials, rights or the bucket are
missing, and StorageError where a disk is full, or object storage does not answer or fails: never DataError, which
speaks of the data.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from data_prep.storage import disk
from data_prep.storage.backend import Backend, FileInfo, Finder
from data_prep.storage.disk_names import local_path
from data_prep.storage.errors import DataError

__all__ = [
    "FileInfo",
    "Finder",
    "absolute",
    "check_writable",
    "create",
    "create_folder",
    "exists",
    "finder",
    "info",
    "is_folder",
    "is_on_disk",
    "list_files",
    "local_copy",
    "local_path",
    "read",
    "read_range",
    "remove",
    "remove_folder",
    "sha256",
    "write",
]


def is_on_disk(uri: str | Path) -> bool:
    """Whether a URI names a file or folder on disk; False for object storage."""
    return not str(uri).startswith("s3://")


def absolute(uri: str | Path) -> str:
    """The location whatever the working folder, without a slash at its end: for names, and for what others record."""
    return local_path(uri).resolve().as_posix() if is_on_disk(uri) else str(uri).rstrip("/")


def _backend(uri: str | Path) -> Backend:
    if is_on_disk(uri):
        return disk
    from data_prep.storage import s3

    return s3


def read(uri: str | Path) -> bytes:
    """All bytes of a file; raises DataError if there is none."""
    return _backend(uri).read(str(uri))


def read_range(uri: str | Path, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`; raises DataError if the file is missing or ends before."""
    data = _backend(uri).read_range(str(uri), offset, length)
    if len(data) != length:
        raise DataError(f"{uri}: ends at byte {offset + len(data)}, expected {offset + length}; it was cut short")
    return data


def create(uri: str | Path) -> AbstractContextManager[BinaryIO]:
    """A binary file to write, which appears under its name only when the block ends without an error."""
    return _backend(uri).create(str(uri))


def write(uri: str | Path, data: bytes) -> None:
    """Write a whole file at once; readers see the old one or the new one, never a part."""
    with create(uri) as file:
        file.write(data)


def create_folder(uri: str | Path, marker: str) -> AbstractContextManager[Path]:
    """A folder on disk to fill, which takes its name (replacing what stood there) only when the block ends without an
    error.

    `marker` is the file in it by which its readers know that it is whole, its manifest. On disk the folder appears at
    once; a link to a folder stays. In object storage, and where a folder on disk is there and cannot be replaced (a
    mounted volume, the working folder), the old marker goes first and the new one comes last, so that readers see the
    old folder, files without a marker, or the new folder.
    """
    return _backend(uri).create_folder(str(uri), marker)


def check_writable(folder: str | Path) -> None:
    """Raise ConfigError, before the work, where a folder on disk may not be written to, or may not be made."""
    if is_on_disk(folder):
        disk.check_writable(str(folder))


def info(uri: str | Path) -> FileInfo | None:
    """Size and version of a file; None where there is no file."""
    return _backend(uri).info(str(uri))


def finder(folder: str | Path) -> Finder:
    """`info` of files by their paths below a folder, and the list of them, for whoever asks for many: object storage is
    listed once for all."""
    return _backend(folder).finder(str(folder))


def list_files(folder: str | Path) -> list[str]:
    """The paths of all files below a folder, relative to it, sorted; none where there is no folder.

    On disk, what a writer that was killed has left is among them: `.NAME.NUMBER.partial`.
    """
    return _backend(folder).list_files(str(folder))


def exists(uri: str | Path) -> bool:
    """Whether a file or folder stands at this location."""
    return _backend(uri).exists(str(uri))


def is_folder(uri: str | Path) -> bool:
    """Whether a folder stands at this location; in object storage, one with something in it."""
    return _backend(uri).is_folder(str(uri))


def remove(uri: str | Path) -> None:
    """Remove a file, if it is there."""
    _backend(uri).remove(str(uri))


def remove_folder(uri: str | Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    _backend(uri).remove_folder(str(uri))


def local_copy(uri: str | Path) -> Path:
    """A path on this machine's disk with the file's bytes, to be read only: the file itself, if it is on disk.

    An object is copied into the scratch folder (`scratch.py`) once; a changed one is another copy. Raises DataError if
    there is no such object.
    """
    return _backend(uri).local_copy(str(uri))


def sha256(uri: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; raises DataError if there is no file."""
    return _backend(uri).sha256(str(uri))
