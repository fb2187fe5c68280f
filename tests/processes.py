"""Processes that tests start and look for, to kill one of them."""

import multiprocessing
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOKS = 50
"""How often a process's open files are looked at before the processes are searched for again."""


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command as a process, whose stderr can be read; nothing of it is left when the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def first_worker_killed() -> Iterator[None]:
    """The first process that `multiprocessing` starts here in the block is killed as soon as it is there."""

    def kill() -> None:
        while not (workers := multiprocessing.active_children()):
            if ended.wait(0.01):
                return
        workers[0].kill()

    ended, killer = threading.Event(), threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        ended.set()
        killer.join()


def wait_for_writer(process: int, words: str, folder: Path, seconds: float = 150) -> int:
    """Return the descendant with `words` in its command line that first has a file of the folder open."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # A file is open for milliseconds, and the search for descendants reads every thread of a JVM: look often.
        for worker in descendants(process, words) * LOOKS:
            if any(path.startswith(f"{folder}/") for path in _open_files(worker)):
                return worker
    raise TimeoutError(f"{folder}: nobody has written there in {seconds} seconds")


def wait_for_the_end(processes: Iterable[int], seconds: float = 20) -> None:
    """Return when none of them runs any longer; what nobody has asked for its exit status has ended, too."""
    deadline = time.monotonic() + seconds
    while left := [process for process in processes if _command(process)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"still running after {seconds} seconds: {', '.join(map(_command, left))}")
        time.sleep(0.05)


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


def _open_files(process: int) -> list[str]:
    try:
        return [str(path.readlink()) for path in Path(f"/proc/{process}/fd").iterdir()]
    except OSError:  # it has just ended, or closed one
        return []


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
