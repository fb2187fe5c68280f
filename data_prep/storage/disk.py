"""Files and folders on disk, local or mounted. `storage.py` says what each function is for."""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from data_prep.storage.backend import FileInfo, Finder
from data_prep.storage.disk_errors import explained, rights_error
from data_prep.storage.errors import ConfigError, DataError

_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_HERE = Path()
_BEGINNING = 50
"""Characters, of up to four bytes each."""


def local_path(uri: str | Path) -> Path:
    """The path behind a URI of a file or folder that can only be on disk; raises ConfigError for any other scheme."""
    text = str(uri)
    if text.startswith("s3:/"):  # a Path makes one slash of two
        raise ConfigError(f"{text}: this must be a folder or file on disk, it cannot be in object storage")
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    if scheme == "file":
        return Path(rest)
    raise ConfigError(f"{text}: {scheme}:// is not supported; name a path on disk, or s3://BUCKET/PREFIX")


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
    with explained(uri, "written"):
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
    with explained(uri, "written"):
        path = local_path(uri).resolve()
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
            if path.exists():
                shutil.rmtree(path)
            partial.rename(path)
            _sync(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _must_stay(path: Path) -> bool:
    """Whether the folder is there and cannot be replaced by another: a mounted volume, the working folder or one above
    it, or one in a folder where nothing can be renamed."""
    if not path.is_dir():
        return False
    return path.is_mount() or Path.cwd().is_relative_to(path) or not os.access(path.parent, os.W_OK | os.X_OK)


def _replace_files(path: Path, partial: Path, marker: str) -> None:
    """Move the files of `partial`, a folder in `path`, up to `path`, and remove those that were there."""
    old = [name for name in list_files(str(path)) if not name.startswith(f"{partial.name}/")]
    new = list_files(str(partial))
    for last in (True, False):
        for name in (each for each in old if (each == marker) is last):
            (path / name).unlink()
        _sync(path)
    for last in (False, True):
        for name in (each for each in new if (each == marker) is last):
            _make_folder((path / name).parent)
            (partial / name).rename(path / name)
            _sync((path / name).parent)


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
    """Raise RightsError where a folder, or the one that it would be made in, may not be written to."""
    with explained(uri, "written"):
        path = local_path(uri).resolve()
        there = next(folder for folder in (path, *path.parents) if folder.is_dir())
        if not os.access(there, os.W_OK | os.X_OK):
            raise rights_error(uri, "written", f"no rights to {there}, or it is read-only")


def _sync(path: Path) -> None:
    """Write a file's bytes, or a folder's names, to the disk itself, so that they survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def info(uri: str) -> FileInfo | None:
    """The version is the modification time in nanoseconds."""
    return _look_at(str(local_path(uri)))


def _look_at(path: str) -> FileInfo | None:
    try:
        found = os.stat(path)  # noqa: PTH116  a Path for each of 226,000 images costs more than looking at them
    except OSError as error:
        if error.errno in _NO_SUCH_FILE:
            return None
        raise DataError(f"{path}: cannot be looked at ({error.strerror})") from None
    return FileInfo(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


class _Finder:
    """Looks at each file when it is asked for."""

    def __init__(self, root: str) -> None:
        self._root = root

    def __call__(self, path: str) -> FileInfo | None:
        return _look_at(f"{self._root}/{path}")

    def files(self) -> list[str]:
        return list_files(self._root)


def finder(folder: str) -> Finder:
    """Looks at each file when it is asked for."""
    return _Finder(str(local_path(folder)))


def list_files(folder: str) -> list[str]:
    """Relative paths; what a writer that was killed has left is among them, as `.NAME.NUMBER.partial`."""
    root = local_path(folder)
    found = ((Path(path).relative_to(root), names) for path, _, names in os.walk(root))
    return sorted(name if path == _HERE else f"{path.as_posix()}/{name}" for path, names in found for name in names)


def exists(uri: str) -> bool:
    """A file or a folder."""
    with explained(uri, "looked at"):
        return local_path(uri).exists()


def is_folder(uri: str) -> bool:
    """A folder, empty or not."""
    with explained(uri, "looked at"):
        return local_path(uri).is_dir()


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
