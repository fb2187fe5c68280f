"""The choice of where the Beam graph runs: in this process, in several processes of this machine, or on a cluster."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from data_prep.storage.errors import ConfigError

REFUSED = {
    "DaskRunner": "it mixes up the outputs of a step without an error",
    "DirectRunner": "it first tries to download another runner; leave --runner out to run on this machine",
}


_OUR_OPTIONS = {"runner": "--runner", "direct_num_workers": "--workers", "direct_running_mode": "--workers"}


_OPTION = re.compile(r"[A-Za-z]\w*(=.*)?", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Engine:
    """Where the graph runs. Raises ConfigError for options that exclude one another.

    `runner`: a runner by Beam's name, None for this machine; `beam`: `KEY=VALUE`, or `KEY` for a switch; `workers`:
    processes of this machine.
    """

    runner: str | None = None
    beam: tuple[str, ...] = ()
    workers: int = 1

    def __post_init__(self) -> None:
        name = (self.runner or "").rpartition(".")[2]
        if name in REFUSED:
            raise ConfigError(f"--runner {name}: is not offered: {REFUSED[name]}")
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: must be at least 1")
        if name and self.workers > 1:
            raise ConfigError(f"--workers is for this machine alone; give {name} its number of workers by --beam")
        for option in self.beam:
            if not _OPTION.fullmatch(option):
                raise ConfigError(f"--beam {option}: write KEY=VALUE, with the name of one of Beam's pipeline options")
            if ours := _OUR_OPTIONS.get(option.partition("=")[0]):
                raise ConfigError(f"--beam {option}: give it as {ours}")

    @property
    def threads(self) -> int | None:
        """Threads that each of several processes of this machine may compute with; None for a library's own number."""
        return max(1, (os.cpu_count() or 1) // self.workers) if self.workers > 1 else None

    def check_paths(self, out: str, sources: tuple[str, ...]) -> None:
        """Raise ConfigError for a relative path, which workers of a cluster could not follow, and for a zip as a
        source's folder, which is unpacked on this machine alone."""
        paths = [(out, f"--out {out}")]
        for source in sources:
            if self.runner and source.lower().endswith(".zip") and "," not in source:
                raise ConfigError(f"--source {source}: with --runner, unpack the zip where all workers see it")
            paths += [(path, f"--source {source}") for path in source.partition(":")[2].split(",")]
        for path, option in paths:
            self.check_path(path, option)

    def check_path(self, path: str, option: str) -> None:
        """Raise ConfigError for a relative path, which workers of a cluster could not follow."""
        if self.runner and "://" not in path and not Path(path).is_absolute():
            raise ConfigError(f"{option}: with --runner, give {path} as a whole path, as the workers see it")
