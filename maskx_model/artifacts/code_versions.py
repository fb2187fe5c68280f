"""Which code made a model: versions for its provenance."""

import os
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from maskx_model.artifacts.origin import PACKAGES, Origin, release

COMMIT = "MASKX_COMMIT"
"""The environment variable that names the commit where there is no repository, as in a container image."""


@cache
def code_versions() -> Origin:
    """The versions of what computes a training's result, and the commit, None where it is not known.

    Reads the packages' metadata and imports none of them; a package that is not installed has no entry.
    """
    found: Origin = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "commit": os.environ.get(COMMIT) or _commit_of(Path(__file__).parents[2])}


def code_releases() -> dict[str, str]:
    """The releases that decide a result, which its provenance holds where it is compared as a whole: of another patch
    or commit it is the same."""
    return {name: release(number) for name, number in code_versions().items() if name in PACKAGES}


def _commit_of(folder: Path) -> str | None:
    """The commit that is checked out in a repository's top folder; None for any other folder, or without git."""
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
