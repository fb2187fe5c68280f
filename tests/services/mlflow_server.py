"""A real MLflow server on loopback, with an SQLite store and a folder of artifacts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.mlflow_server import MlflowServer


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Start `mlflow server`, which keeps everything in the folder; gives its URL until the block ends."""
    server = MlflowServer(folder)
    server.start()
    try:
        yield server.uri
    finally:
        server.kill()
