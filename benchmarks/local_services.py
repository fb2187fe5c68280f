"""MLflow's server on PostgreSQL and an S3 store of one's own, as `make services` starts them; for this machine only."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "infra" / "services" / "local_services.py"
SECONDS_TO_STOP = 120


@dataclass(frozen=True)
class RunningServices:
    """The process that holds the services, their folder, and the environment that they print for their clients."""

    process: "subprocess.Popen[str]"
    state: Path
    environment: dict[str, str]


@contextmanager
def state_folder() -> Iterator[Path]:
    """A temporary folder that PostgreSQL's user may enter."""
    with tempfile.TemporaryDirectory(prefix="maskx-state-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def running_services(state: Path, mlflow_port: int, s3_port: int) -> Iterator[RunningServices]:
    """Start the services, and end them as Ctrl-C does; raises RuntimeError if they do not start."""
    command = [sys.executable, str(SCRIPT), f"--state={state}", f"--mlflow-port={mlflow_port}", f"--s3-port={s3_port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield RunningServices(process, state, _environment(process))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(SECONDS_TO_STOP)


def _environment(process: "subprocess.Popen[str]") -> dict[str, str]:
    """What a shell exports that is told the lines which the services print."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        if not line.startswith("export "):
            break
        lines.append(line)
    if not lines:
        raise RuntimeError("the services did not start; what they said stands above")
    shell = ["sh", "-c", f"{''.join(lines)}env -0"]
    told = subprocess.run(shell, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout
    variables = dict(each.split("=", 1) for each in told.split("\0") if each)
    return {name: variables[name] for name in (line.split()[1].partition("=")[0] for line in lines)}
