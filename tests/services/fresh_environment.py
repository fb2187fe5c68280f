"""A Python environment that holds what a list of requirements asks for, and nothing else.

Packages are links to those installed here, so that nothing is downloaded: gigabytes, for torch. What is not among the
requirements, or what those require, cannot be imported: maskx neither.
"""

import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, entry_points
from pathlib import Path

from packaging.requirements import Requirement


def fresh_environment(folder: Path, requirements: Iterable[str]) -> Path:
    """Make the environment in an empty folder; returns its folder of programs, with `python` and the packages' own."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    needed = _closure(requirements)
    for package in needed.values():
        for name in {file.parts[0] for file in package.files or () if ".." not in file.parts}:
            if not (site / name).exists() and name != "__pycache__":
                (site / name).symlink_to(Path(str(package.locate_file(name))))
    for script in entry_points(group="console_scripts"):
        if script.dist is not None and script.dist.name in needed:
            program = folder / "bin" / script.name
            program.write_text(f"#!{folder}/bin/python\nfrom {script.module} import {script.attr}\n{script.attr}()\n")
            program.chmod(0o755)
    return folder / "bin"


def _closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """The installed packages that these require, and those require, by name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(each), "") for each in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        package = distribution(requirement.name)
        found[package.name] = package
        for own in ("", *requirement.extras):
            if (package.name, own) not in seen:
                seen.add((package.name, own))
                waiting += [(Requirement(each), own) for each in package.requires or ()]
    return found
