"""Files and folders on disk, local or mounted. `storage.py` says what each function is for."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from data_prep.storage.disk_errors import WRITTEN, explained, rights_error
from data_prep.storage.disk_names import exists, finder, info, is_folder, list_files, local_path
from data_prep.storage.errors import ConfigError, DataError

__all__ = [
    "create",
    "create_folder",
    "exists",
    "finder",
    "info",
    "is_folder",
    "list_files",
    "local_copy",
    "read",
    "read_range",
    "remove",
    "remove_folder",
    "sha256",
]

_BEGINNING = 50
"""Characters, of up to four bytes each."""


def read(uri: str) -> bytes:
    """All bytes of a file."""
    try:
        with explained(uri, "read"):
            return local_path(uri).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{uri}: no such file") from None


def read_range(uri: str, offset: int, length: int) -> bytes:
    """At most `length` bytes: fewer where the file ends before."""
    try:
        with explained(uri, "read"), local_path(uri).open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except FileNotFoundError:
        raise DataError(f"{uri}: no such file; restore it or prepare the dataset again") from None


@contextmanager
def create(uri: str) -> Iterator[BinaryIO]:
    """A file of another name that takes its own when it is whole and on disk."""
    path = local_path(uri)
    partial = _partial(path)
    with explained(uri, WRITTEN):
        try:
            _make_folder(path.parent)
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    """A name for the time being that no other writer takes, be it on another machine that shares the disk.

    It holds the beginning of the name only: a file's name has 255 bytes at most.
    """
    return path.with_name(f".{path.name[:_BEGINNING]}.{secrets.randbelow(10**12)}.partial")


@contextmanager
def create_folder(uri: str, marker: str) -> Iterator[Path]:
    """A folder of another name that takes its own when it is whole and on disk.

    A link is followed. A folder that another cannot take the place of is kept, and its files are replaced: the old
    marker goes first, and the new one comes last.
    """
    with explained(uri, WRITTEN):
        path = _resolved(uri)
        stays = _must_stay(path)
        partial = _partial(path / marker if stays else path)
        try:
            _make_folder(path.parent)
            partial.mkdir()
            yield partial
            for folder, _, names in os.walk(partial):
                for name in names:
                    _sync(Path(folder, name))
                _sync(Path(folder))
            if stays:
                _replace_files(path, partial, marker)
                return
            old = _partial(path)
            if path.is_dir():
                _move_away(path, old)
            partial.rename(path)
            _sync(path.parent)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _resolved(uri: str) -> Path:
    """The path without links; raises ConfigError for a link that leads to itself, and for a path below a working
    folder that has been removed."""
    try:
        return local_path(uri).resolve()
    except RuntimeError:
        raise ConfigError(f"{uri}: is a link that leads to itself; choose another path") from None
    except FileNotFoundError:
        raise ConfigError(f"{uri}: the working folder has been removed; change to another one") from None


def _must_stay(path: Path) -> bool:
    """Whether the folder is there and cannot be replaced by another: the working folder, a mounted volume, one above
    those, or one in a folder where nothing can be renamed."""
    if not path.is_dir():
        return False
    needed = [Path(volume.mountpoint) for volume in psutil.disk_partitions(all=True)]
    with suppress(FileNotFoundError):  # the working folder has been removed
        needed.append(Path.cwd())
    return any(each.is_relative_to(path) for each in needed) or not os.access(path.parent, os.W_OK | os.X_OK)


def _move_away(path: Path, to: Path) -> None:
    """Rename a folder; one in a lower layer of a container's file system cannot be renamed, and is removed."""
    try:
        path.rename(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.rmtree(path)


def _replace_files(path: Path, partial: Path, marker: str) -> None:
    """Move the files of `partial`, a folder in `path`, up to `path`, and remove those that were there."""
    old = [name for name in list_files(str(path)) if not name.startswith(f"{partial.name}/")]
    new = list_files(str(partial))
    for last in (True, False):
        for name in (each for each in old if _is_of(each, marker) is last):
            (path / name).unlink()
        _sync(path)
    for last in (False, True):
        for name in (each for each in new if _is_of(each, marker) is last):
            _make_folder((path / name).parent)
            (partial / name).rename(path / name)
            _sync((path / name).parent)


def _is_of(name: str, marker: str) -> bool:
    """Whether a file is the marker, or in the folder that is."""
    return name == marker or name.startswith(f"{marker}/")


def _make_folder(path: Path) -> None:
    """Make the folder and those missing above it, so that their names survive a power failure."""
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _sync(folder.parent)


def check_writable(uri: str) -> None:
    """Raise RightsError where a folder, or the one that it would be made in, may not be written to, ConfigError where
    that is a file."""
    with explained(uri, WRITTEN):
        path = _resolved(uri)
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(there))
        if not os.access(there, os.W_OK | os.X_OK):
            raise rights_error(uri, "written", f"no rights to {there}, or it is read-only")


def _sync(path: Path) -> None:
    """Write a file's bytes, or a folder's names, to the disk itself, so that they survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(uri: str) -> None:
    """Remove a file."""
    with explained(uri, "removed"):
        local_path(uri).unlink(missing_ok=True)


def remove_folder(uri: str) -> None:
    """Remove a folder."""
    with suppress(FileNotFoundError), explained(uri, "removed"):
        shutil.rmtree(local_path(uri))


def local_copy(uri: str) -> Path:
    """The file itself."""
    return local_path(uri)


def sha256(uri: str) -> str:
    """Of the file's bytes, a piece at a time."""
    try:
        with explained(uri, "read"), local_path(uri).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{uri}: no such file") from None
