"""A running cluster, as tests use it: programs with logs, and kubectl."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.processes import SECONDS, wait_for

INSTALLED = Path(__file__).parents[2] / ".services" / "cluster"
"""What `infra/cluster/install.sh` makes."""
ADMINISTRATOR = "of-the-administrator"


@dataclass
class Cluster:
    """The API server's port, and a folder with the programs' logs and all that they write."""

    folder: Path
    port: int
    programs: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        """What the API server made to be recognized by; its key lies beside it."""
        return self.folder / "certificates" / "apiserver.crt"

    def kubeconfig(self, token: str = ADMINISTRATOR) -> Path:
        """The file with which clients talk to the cluster as the owner of a token."""
        path = self.folder / f"{token[-20:]}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
        contents = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(contents))
        return path

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        """Start a program as the administrator; its log goes to a file of its name."""
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig())}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.programs[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)

    def stop(self) -> None:
        """End all programs, the newest first."""
        for program in reversed(self.programs.values()):
            program.kill()
            program.wait()

    def kubectl(
        self, *arguments: str | Path, given: str = "", token: str = ADMINISTRATOR, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run kubectl with `given` on its standard input; raises AssertionError with its message if it fails."""
        command = [INSTALLED / "bin" / "kubectl", f"--kubeconfig={self.kubeconfig(token)}", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}: {done.stderr}"
        return done

    def get(self, *arguments: str) -> Any:
        """The object that `kubectl get` finds, or a list of the objects."""
        found = json.loads(self.kubectl("get", *arguments, "--output=json").stdout)
        return found["items"] if found["kind"] == "List" else found

    def create(self, *objects: Mapping[str, Any], check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Make objects as the administrator."""
        return self.kubectl("create", "--filename=-", given=as_list(objects), check=check)

    def wait_for(self, what: str, happened: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """What the function returns once that is true.

        Raises TimeoutError with the ends of all logs, at once if a program has ended.
        """
        programs, logs = self.programs.values(), self.folder.glob("*.log")
        return wait_for(what, happened, *programs, logs=logs, seconds=seconds, every=0.5)


def as_list(objects: Sequence[Mapping[str, Any]]) -> str:
    """Objects as one text that kubectl reads."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
