"""Prints the libraries that extras of a pyproject.toml name, one a line, for a layer of an image without code of ours.

Example: python infra/images/requirements.py pyproject.toml data pipeline
"""

import re
import sys
import tomllib
from pathlib import Path

OWN_EXTRA = re.compile(r"maskx\[(.+)\]")


def requirements(pyproject: Path, *extras: str) -> list[str]:
    """The project's requirements and those of some extras, sorted; an extra that names others stands for theirs.

    Raises KeyError if there is no such extra.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    found: set[str] = set(project["dependencies"])
    waiting = list(extras)
    while waiting:
        for line in project["optional-dependencies"][waiting.pop()]:
            if own := OWN_EXTRA.fullmatch(line):
                waiting += own[1].split(",")
            else:
                found.add(line)
    return sorted(found)


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]), *sys.argv[2:])))
