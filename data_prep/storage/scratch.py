"""Where this machine keeps what it can always make again: copies of remote files, extracted archives, listings."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.storage.errors import ConfigError, DataError


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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Whoever makes that file does so alone: of this machine's processes and threads, others wait here meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require_room(what: str, needed: int) -> None:
    """Raise DataError if the scratch folder's disk has not so many bytes left; `what` needs them."""
    folder = scratch_folder()
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{what}: needs {needed} bytes below {folder}, {free} are free; "
            "let MASKX_SCRATCH name a folder with more room"
        )
