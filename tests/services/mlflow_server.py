"""A real MLflow server on loopback, with an SQLite store and a folder of artifacts."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.object_storage import free_ports

SECONDS = 120
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Start `mlflow server`, which keeps everything in the folder; gives its URL until the block ends."""
    url = f"http://127.0.0.1:{(port := free_ports(1)[0])}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *stores], stdout=log, stderr=log, env={**os.environ, **QUIET}, start_new_session=True
        )
    try:
        wait_for_server(process, f"{url}/health", folder / "server.log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the server and its workers, which form a group of their own
        process.wait()


def wait_for_server(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when the URL answers; raises RuntimeError with the log's end if the process ends or takes long."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    raise RuntimeError(f"the server does not answer at {url}:\n{log.read_text()[-2000:]}")
