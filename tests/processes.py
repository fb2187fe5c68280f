"""Processes that tests look for, to kill one of them."""

from pathlib import Path


def descendants(process: int, words: str) -> list[int]:
    """Processes that this one started, or that those started, with `words` in their command line."""
    found = []
    for child in _children(process):
        if words in _command(child) and "/sh" not in _command(child):
            found.append(child)
        found += descendants(child, words)
    return found


def _children(process: int) -> list[int]:
    try:
        lists = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    except OSError:  # it has just ended
        return []
    return [int(word) for text in lists for word in text.split()]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
