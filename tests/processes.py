"""Processes that tests start and look for, to kill one of them; and waiting for what they do."""

import multiprocessing
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[1]
SECONDS = 120
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


def kill_when(
    command: list[str],
    ready: Callable[[], object],
    seconds: float = 300,
    folder: Path = REPOSITORY,
    **environment: str,
) -> None:
    """Run the command in the folder, and send SIGKILL to it and to all that it started once it is `ready`.

    Raises AssertionError with its errors if it ends before, TimeoutError if it is not ready in time.
    """
    with TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            what = f"the time to kill {' '.join(command)}"
            wait_for(what, lambda: ready() or process.poll() is not None, seconds=seconds, every=0.002)
        finally:
            kill_group(process)
        errors.seek(0)
        assert process.returncode == -signal.SIGKILL, f"ended by itself ({process.returncode}): {errors.read()[-2000:]}"


def kill_group(process: "subprocess.Popen[Any]") -> None:
    """SIGKILL a process that was started in a session of its own, and all that it started."""
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(
    what: str,
    happened: Callable[[], T],
    *processes: "subprocess.Popen[Any]",
    logs: Iterable[Path] = (),
    seconds: float = SECONDS,
    every: float = 0.02,
) -> T:
    """Return what the function returns once that is true; it is called each `every` seconds.

    Raises TimeoutError with the ends of the logs and of the output that an ended process has left in its pipes; at once
    if one of the processes has ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        ended = [process for process in processes if process.poll() is not None]
        if found := happened():
            return found
        if ended or time.monotonic() > deadline:
            break
        time.sleep(every)
    said = [f"{process.args!r} ended ({process.returncode}): {process.communicate()}" for process in ended]
    ends = [f"== {log.name}\n{log.read_text(errors='replace')[-4000:]}" for log in logs]
    raise TimeoutError("\n".join([f"{what}: not in {seconds} seconds", *said, *ends]))


def wait_for_server(process: "subprocess.Popen[Any]", url: str, log: Path) -> None:
    """Return when the URL answers without an error; raises TimeoutError as `wait_for`."""

    def answers() -> bool:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return True
        return False

    wait_for(f"an answer at {url}", answers, process, logs=[log], every=0.1)


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
