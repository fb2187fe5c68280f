"""The cluster of `infra/flink/local_cluster.py`, as a test uses it."""

import json
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class FlinkCluster:
    """A running cluster: the process that holds it, the job manager's URL, and the options for `maskx data prepare`."""

    process: int
    url: str
    options: list[str]

    def ask(self, path: str) -> Any:
        """What Flink's REST API answers."""
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=30) as answer:
            return json.load(answer)

    def job(self, name: str) -> Any:
        """What Flink knows of the job of this name."""
        (number,) = [known["jid"] for known in self.ask("jobs/overview")["jobs"] if known["name"] == name]
        return self.ask(f"jobs/{number}")

    def task_managers_of(self, name: str, step: str) -> dict[str, int]:
        """Task manager → records that it read, in the steps of a finished job whose names contain `step`."""
        job = self.job(name)
        read: dict[str, int] = {}
        for vertex in job["vertices"]:
            if step in vertex["name"]:
                for manager in self.ask(f"jobs/{job['jid']}/vertices/{vertex['id']}/taskmanagers")["taskmanagers"]:
                    number = manager["taskmanager-id"]
                    read[number] = read.get(number, 0) + manager["metrics"]["read-records"]
        return read


@contextmanager
def flink_cluster() -> Iterator[FlinkCluster]:
    """Start the local cluster, and stop it."""
    command = [sys.executable, str(REPOSITORY / "infra/flink/local_cluster.py")]
    cluster = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert cluster.stdout
    try:
        said: dict[str, str] = {}
        for line in cluster.stdout:
            key, _, value = line.strip().partition(": ")
            said[key] = value
            if line.startswith("--runner"):
                yield FlinkCluster(cluster.pid, said["job manager"], shlex.split(line))
                break
        else:
            raise AssertionError("the cluster did not start; what it said stands above")
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.wait(60)
