"""Where this machine keeps what it can always make again: copies of remote files, extracted archives, listings."""

import os
from pathlib import Path

from data_prep.format.errors import ConfigError


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
