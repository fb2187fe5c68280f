"""Which files and folders are there on disk. `storage.py` says what each function is for."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from data_prep.storage.backend import FileInfo, Finder
from data_prep.storage.disk_errors import NO_RIGHTS, NO_SUCH_FILE, explained, rights_error
from data_prep.storage.errors import ConfigError, DataError

_HERE = Path()


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


def info(uri: str) -> FileInfo | None:
    """The version is the modification time in nanoseconds."""
    return _look_at(str(local_path(uri)))


def _look_at(path: str) -> FileInfo | None:
    try:
        found = os.stat(path)  # noqa: PTH116  a Path for each of 226,000 images costs more than looking at them
    except OSError as error:
        if error.errno in NO_SUCH_FILE:
            return None
        if error.errno in NO_RIGHTS:
            raise rights_error(path, "looked at", error.strerror) from None
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
    """Relative paths; what a writer that was killed has left is among them, as `.NAME.NUMBER.partial`.

    Folders without rights are left out where their names begin with a dot, or are those of the system's at the top of a
    disk.
    """
    root = local_path(folder)

    def refused(error: OSError) -> None:
        closed = Path(error.filename)
        if error.errno in NO_RIGHTS and (closed == root or not closed.name.startswith((".", "lost+found"))):
            raise rights_error(error.filename, "listed", error.strerror)

    found = ((Path(path).relative_to(root), names) for path, _, names in os.walk(root, onerror=refused))
    return sorted(name if path == _HERE else f"{path.as_posix()}/{name}" for path, names in found for name in names)


def exists(uri: str) -> bool:
    """A file or a folder."""
    with explained(uri, "looked at"):
        return _is_there(local_path(uri).exists)


def is_folder(uri: str) -> bool:
    """A folder, empty or not."""
    with explained(uri, "looked at"):
        return _is_there(local_path(uri).is_dir)


def _is_there(look: Callable[[], bool]) -> bool:
    """What `look` answers; False for a name that no file can have."""
    try:
        return look()
    except OSError as error:
        if error.errno not in NO_SUCH_FILE:
            raise
        return False
