"""The READMEs' commands, to be checked and run: `python -m tests.readme 'after the demo'` runs that block."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("data_prep", "maskx_model", "components", "pipelines", "infra")
BLOCK = re.compile(r"(?:<!-- (?P<name>[^>]*) -->\n)?```sh\n(?P<lines>.*?)```", re.DOTALL)


def documents() -> Iterator[Path]:
    """The README, CONTRIBUTING, and every Markdown file of a package."""
    yield ROOT / "README.md"
    yield ROOT / "CONTRIBUTING.md"
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.md"))


def blocks() -> list[tuple[str, list[str]]]:
    """Each block's name (empty where it has none) and its commands, continued lines joined."""
    matches = [match for document in documents() for match in BLOCK.finditer(document.read_text())]
    return [(match["name"] or "", match["lines"].replace("\\\n", "").splitlines()) for match in matches]


def block(name: str) -> list[str]:
    """The lines of the block of that name."""
    (lines,) = [lines for each, lines in blocks() if each == name]
    return lines


def run(name: str) -> None:
    """Run the block's lines one after the other, in the project's root; the first failure ends it."""
    for line in block(name):
        print(f"README: {line}", flush=True)
        subprocess.run(line, shell=True, check=True, cwd=ROOT)


if __name__ == "__main__":
    run(sys.argv[1])
