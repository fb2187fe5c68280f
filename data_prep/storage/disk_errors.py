"""What a disk refuses, in words: no room, or no rights."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from data_prep.storage.errors import ConfigError, RightsError, StorageError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}
NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}

WRITTEN = "written"
_IN_THE_WAY = {
    errno.ENOTDIR: "a part of the path is a file",
    errno.EEXIST: "a part of the path is a file",
    errno.EISDIR: "a folder is there",
}


@contextmanager
def explained(uri: str, deed: str) -> Iterator[None]:
    """Raise StorageError where there is no room, RightsError where rights are missing, and ConfigError where a file is
    to be written in place of a folder or below a file; each with the remedy.

    `deed`: what cannot be done to the file or folder, such as `read`.
    """
    try:
        yield
    except OSError as error:
        if deed == WRITTEN and error.errno in _IN_THE_WAY:
            what = _IN_THE_WAY[error.errno]
            raise ConfigError(f"{uri}: cannot be written, {what}; choose another path") from None
        if error.errno in NO_RIGHTS:
            raise rights_error(uri, deed, error.strerror) from None
        if error.errno not in NO_ROOM:
            raise
        remedy = "make room there, or choose a path on another disk, and run the command again"
        raise StorageError(f"{uri}: cannot be {deed} ({error.strerror}); {remedy}") from None


def rights_error(uri: str, deed: str, reason: str | None) -> RightsError:
    """The error of a file or folder to which rights are missing."""
    return RightsError(f"{uri}: cannot be {deed} ({reason}); get the rights to it, or choose another path")
