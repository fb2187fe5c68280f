"""The services of `infra/services/local_services.py`, as a test uses them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.local_services import RunningServices, running_services
from tests.services.object_storage import free_ports

CREDENTIALS = {"MLFLOW_TRACKING_USERNAME": "maskx", "MLFLOW_TRACKING_PASSWORD": "planted-password"}
"""MLflow's clients send them; the server here asks for none."""


@dataclass(frozen=True)
class LocalServices(RunningServices):
    """Running services; `environment` has credentials for MLflow, too."""

    @property
    def tracking_uri(self) -> str:
        """Where MLflow's server answers."""
        return self.environment["MLFLOW_TRACKING_URI"]

    @property
    def secrets(self) -> tuple[str, str]:
        """What must be written nowhere: the store's secret key, and the password for MLflow."""
        return self.environment["AWS_SECRET_ACCESS_KEY"], self.environment["MLFLOW_TRACKING_PASSWORD"]

    def dump(self) -> str:
        """The database as SQL."""
        sockets = (self.state / "postgres" / "postmaster.pid").read_text().splitlines()[4]
        command = ["pg_dump", f"--host={sockets}", "--username=mlflow", "postgres"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def local_services(state: Path) -> Iterator[LocalServices]:
    """Start the services on free ports, and end them."""
    with running_services(state, free_ports(1)[0], _first_of_four()) as running:
        yield LocalServices(running.process, state, running.environment | CREDENTIALS)


def _first_of_four() -> int:
    while True:
        ports = free_ports(4)
        if ports[-1] - ports[0] == 3:
            return ports[0]
