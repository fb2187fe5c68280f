"""Where bytes live: the one module through which datasets, models and reports are read and written.

A location is a URI in a string. Today that is a folder on disk; another scheme is refused by name.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data_prep.format.errors import ConfigError, DataError

_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}


@dataclass(frozen=True)
class FileInfo:
    """A file's size in bytes, and its `version`: a text that changes when the file does."""

    bytes: int
    version: str


def local_path(uri: str | Path) -> Path:
    """The path behind a URI; raises ConfigError for a scheme other than `file://`."""
    text = str(uri)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    if scheme == "file":
        return Path(rest)
    raise ConfigError(f"{text}: only folders on disk are supported by this version, not {scheme}://")


def read(uri: str | Path) -> bytes:
    """All bytes of a file; raises DataError if there is none."""
    try:
        return local_path(uri).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{uri}: no such file") from None


def read_range(uri: str | Path, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`; raises DataError if the file is missing or ends before."""
    try:
        with local_path(uri).open("rb") as file:
            file.seek(offset)
            data = file.read(length)
    except FileNotFoundError:
        raise DataError(f"{uri}: no such file; restore it or prepare the dataset again") from None
    if len(data) != length:
        raise DataError(f"{uri}: ends at byte {offset + len(data)}, expected {offset + length}; it was cut short")
    return data


@contextmanager
def create(uri: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write, which appears under its name only when the block ends without an error."""
    path = local_path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write(uri: str | Path, data: bytes) -> None:
    """Write a whole file at once; readers see the old one or the new one, never a part."""
    with create(uri) as file:
        file.write(data)


@contextmanager
def create_folder(uri: str | Path) -> Iterator[Path]:
    """A folder to fill, which takes its name (replacing what stood there) only when the block ends without an error."""
    path = local_path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def exists(uri: str | Path) -> bool:
    """Whether a file or folder stands at this location."""
    return local_path(uri).exists()


def info(uri: str | Path) -> FileInfo | None:
    """Size and version of a file; None where there is no file."""
    try:
        found = local_path(uri).stat()
    except OSError as error:
        if error.errno in _NO_SUCH_FILE:
            return None
        raise DataError(f"{uri}: cannot be looked at ({error.strerror})") from None
    return FileInfo(found.st_size, str(found.st_mtime_ns)) if stat.S_ISREG(found.st_mode) else None


def finder(folder: str | Path) -> Callable[[str], FileInfo | None]:
    """`info` of files by their paths below a folder, for whoever asks for many of them."""
    return lambda path: info(f"{folder}/{path}")


def list_files(folder: str | Path) -> list[str]:
    """The paths of all files below a folder, relative to it, sorted; none where there is no folder.

    On disk, what a writer that was killed has left is among them: `.NAME.PID.partial`.
    """
    root = local_path(folder)
    return sorted(Path(place, name).relative_to(root).as_posix() for place, _, names in os.walk(root) for name in names)


def is_folder(uri: str | Path) -> bool:
    """Whether a folder stands at this location."""
    return local_path(uri).is_dir()


def remove(uri: str | Path) -> None:
    """Remove a file, if it is there."""
    local_path(uri).unlink(missing_ok=True)


def remove_folder(uri: str | Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    with suppress(FileNotFoundError):
        shutil.rmtree(local_path(uri))


def local_copy(uri: str | Path) -> Path:
    """A path on this machine's disk with the file's bytes, to be read only: the file itself, if it is on disk."""
    return local_path(uri)


def sha256(uri: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with local_path(uri).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
