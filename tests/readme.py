"""The README's commands, to be checked and run: `python -m tests.readme 'after the demo'` runs that block."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?:<!-- (?P<name>[^>]*) -->\n)?```sh\n(?P<lines>.*?)```", re.DOTALL)


def blocks() -> list[tuple[str, list[str]]]:
    """Each block's name (empty where it has none) and its command lines."""
    found = BLOCK.finditer((ROOT / "README.md").read_text())
    return [(block["name"] or "", block["lines"].splitlines()) for block in found]


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
