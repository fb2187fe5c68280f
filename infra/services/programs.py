"""A program that runs until it is stopped: how `local_services.py` finds, starts and stops one."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS_TO_START, SECONDS_TO_STOP = 180, 60


@dataclass(frozen=True)
class Service:
    """A program that runs until the end: its name and command, a check that it is ready, and what it is started with
    beside this environment."""

    name: str
    command: list[str]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    as_user: Mapping[str, Any] = field(default_factory=dict)


def program(name: str) -> str:
    """The path of a program: beside this Python, in Debian's newest PostgreSQL, or on PATH."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    known = [path for path in (Path(sys.executable).with_name(name), *reversed(packaged)) if path.exists()]
    found = str(known[0]) if known else shutil.which(name)
    return found or sys.exit(f"local_services: no program {name}; run infra/services/install.sh")


def answers(url: str) -> bool:
    """Whether somebody answers there."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def start(service: Service, state: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """Start a service, whose output goes to a file of its name, and return when it is ready.

    It is a process group of its own: Ctrl-C in the terminal stops this program, which stops the services in order.
    """
    file = state / f"{service.name}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_"))}
    environment |= service.environment
    with file.open("wb") as log:
        process = subprocess.Popen(
            service.command, cwd="/", env=environment, stdout=log, stderr=log, start_new_session=True, **service.as_user
        )
    processes.append(process)
    deadline = time.monotonic() + SECONDS_TO_START
    while not service.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            end = file.read_text(encoding="utf-8", errors="replace")[-2000:]
            sys.exit(f"{end}\nlocal_services: {service.name} did not start; the end of its log is above")
        time.sleep(0.2)


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Stop the services, the last one first. A second Ctrl-C does not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for process in reversed(processes):
        process.send_signal(signal.SIGINT)  # PostgreSQL would wait for its clients at SIGTERM
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_STOP)
        with contextlib.suppress(ProcessLookupError):  # none is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
