"""Where this machine keeps what it can always make again: copies of remote files, unpacked archives, listings.

Copies stand in `copies/KEY/`, files made of others in `unpacked/KEY/`, `columns/KEY/` and such. Whoever uses one holds
a lock beside it, shared, until its process ends; what nobody uses goes when room is needed, that which was used longest
ago first.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from data_prep.storage.disk_errors import NO_ROOM
from data_prep.storage.errors import ConfigError, StorageError

logger = logging.getLogger(__name__)

DEFAULT_BYTES = 32 << 30
"""How much copies and unpacked files may hold, unless `MASKX_SCRATCH_BYTES` says so."""

_KINDS = ("columns", "copies", "encoded", "quoted", "unpacked")
_in_use: dict[Path, BinaryIO] = {}


def scratch_folder() -> Path:
    """`$MASKX_SCRATCH`, else `$XDG_CACHE_HOME/maskx`, else `~/.cache/maskx`, made if it is not there.

    Whatever is in it may be deleted while no command runs. Raises ConfigError if the folder cannot be made.
    """
    try:
        folder = _chosen()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"no folder for scratch files ({error}); let MASKX_SCRATCH name one with room") from None
    return folder


def _chosen() -> Path:
    if chosen := os.environ.get("MASKX_SCRATCH"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "maskx"


def is_in_scratch(path: str) -> bool:
    """Whether a path is below the scratch folder, from where it may go at any time."""
    return Path(path).resolve().is_relative_to(scratch_folder().resolve())


def scratch_bytes() -> int:
    """`$MASKX_SCRATCH_BYTES`, else `DEFAULT_BYTES`; raises ConfigError if it is no whole number."""
    chosen = os.environ.get("MASKX_SCRATCH_BYTES")
    if chosen is None:
        return DEFAULT_BYTES
    if not chosen.isdecimal():
        raise ConfigError(f"MASKX_SCRATCH_BYTES={chosen}: must be a number of bytes, as in {DEFAULT_BYTES}")
    return int(chosen)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on making this file; other processes and threads of this machine wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def use(folder: Path) -> None:
    """Nobody removes this folder of copies or unpacked files, which need not be there yet, before this process ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder not in _in_use:
        file = _lock_of(folder).open("wb")
        fcntl.flock(file, fcntl.LOCK_SH)
        _in_use[folder] = file
    os.utime(_lock_of(folder))


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.used")


def require_room(what: str, needed: int) -> None:
    """Make room for so many bytes, which `what` needs, by removing what was used longest ago and is not in use.

    What is in use stays, even where it is more than `scratch_bytes()`. Raises StorageError if the scratch folder's
    disk has not enough bytes left.
    """
    folder, most = scratch_folder(), scratch_bytes()
    kept = sorted(_entries(folder))
    total = sum(entry.bytes for entry in kept)
    could_be_free = shutil.disk_usage(folder).free + total
    for entry in kept if needed <= could_be_free else []:
        if total + needed <= most and needed <= shutil.disk_usage(folder).free:
            break
        if _remove_unless_in_use(entry.folder):
            logger.info("%s: removed, to make room in the scratch folder", entry.folder)
            total -= entry.bytes
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{what}: needs {needed} bytes below {folder}, {free} are free; "
            "let MASKX_SCRATCH name a folder with more room"
        )


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Raise StorageError with the remedy where the scratch folder's disk is full while `what` is written there."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise StorageError(
            f"{what}: cannot be written, there is no room below {scratch_folder()} ({error.strerror}); "
            "let MASKX_SCRATCH name a folder with more room"
        ) from None


class _Entry(NamedTuple):
    """When a folder was last used (ns), the folder, and the bytes in it."""

    used: int
    folder: Path
    bytes: int


def _entries(scratch: Path) -> Iterator[_Entry]:
    for folder in (found for kind in _KINDS for found in (scratch / kind).glob("[!.]*")):
        with suppress(FileNotFoundError):  # another process has just removed it
            last = _lock_of(folder) if _lock_of(folder).exists() else folder
            files = (file for file in folder.rglob("*") if file.is_file())
            yield _Entry(last.stat().st_mtime_ns, folder, sum(file.stat().st_size for file in files))


def _remove_unless_in_use(folder: Path) -> bool:
    with _lock_of(folder).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return True
