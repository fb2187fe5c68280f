"""A pod as a process of this machine."""

import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernetes import client

from tests.cluster.isolated import end, isolated
from tests.cluster.pod_spec import PodSpec

PAUSE_SECONDS = 1.0
"""Before a container is started again. A kubelet's pauses grow to minutes."""
ADDRESS = "127.0.0.1"


class Pod:
    """Starts the pod's container, starts it again where its restart policy says so, and reports to the API server.

    `image` is the environment that the container's image brings; None for an image that cannot be pulled. `hosts` is
    the file with the names of other pods.
    """

    def __init__(
        self, pod: dict[str, Any], api: client.CoreV1Api, folder: Path, image: dict[str, str] | None, hosts: Path
    ) -> None:
        self.pod, self.api, self.folder, self.image, self.hosts = pod, api, folder, image, hosts
        self.name, self.namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        pod["status"] |= {"podIP": ADDRESS, "hostIP": ADDRESS}
        folder.mkdir()
        self.log = folder / "log"
        self.log.touch()
        self.ended, self.unwanted, self.starting = threading.Event(), threading.Event(), threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts, self.created = 0, _now()
        threading.Thread(target=self._live, daemon=True).start()

    def stop(self, grace_seconds: float) -> None:
        """End the container, by SIGKILL if it takes longer, and let go of the pod."""
        with self.starting:
            self.unwanted.set()
        if self.process:
            end(self.process, grace_seconds)

    def _live(self) -> None:
        try:
            if self.image is None:
                self._report("Pending", {"waiting": {"reason": "ErrImagePull", "message": "no such image here"}})
            else:
                self._run(self.image)
        except Exception as error:
            self._report("Failed", {"waiting": {"reason": "CreateContainerError", "message": str(error)[:1000]}})
        self.ended.set()
        self.unwanted.wait()
        self._tell(self.api.delete_namespaced_pod, grace_period_seconds=0)

    def _run(self, image: dict[str, str]) -> None:
        """Run the container until its restart policy is satisfied, or the pod is not wanted any longer."""
        spec = PodSpec(self.pod, self.api, self.folder)
        environment = image | {"HOSTNAME": self.name} | spec.environment()
        command = isolated(spec.command(), {"/etc/hosts": self.hosts} | spec.mounts(), spec.privileges())
        policy = self.pod["spec"]["restartPolicy"]
        while True:
            started = _now()
            with self.starting, self.log.open("ab") as log:
                if self.unwanted.is_set():
                    return
                self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            self._report("Running", {"running": {"startedAt": started}})
            code = self.process.wait()
            code = 128 - code if code < 0 else code
            ended = {"exitCode": code, "reason": "Error" if code else "Completed"}
            ended |= {"startedAt": started, "finishedAt": _now()}
            if self.unwanted.is_set() or policy == "Never" or (policy == "OnFailure" and code == 0):
                self._report("Failed" if code else "Succeeded", {"terminated": ended})
                return
            self.restarts += 1
            self._report("Running", {"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": ended})
            self.unwanted.wait(PAUSE_SECONDS)

    def _report(self, phase: str, state: dict[str, Any], last_state: dict[str, Any] | None = None) -> None:
        """Write the pod's status."""
        running = "running" in state
        (container,) = self.pod["spec"]["containers"]
        status = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": running,
            "started": running,
            "restartCount": self.restarts,
            "state": state,
            "lastState": last_state or {},
        }
        conditions = [{"type": kind, "status": str(running)} for kind in ("Ready", "ContainersReady")]
        report: dict[str, Any] = {"phase": phase, "podIP": ADDRESS, "hostIP": ADDRESS, "startTime": self.created}
        report |= {"conditions": conditions, "containerStatuses": [status]}
        self._tell(self.api.patch_namespaced_pod_status, body={"status": report})

    def _tell(self, request: Callable[..., Any], **arguments: Any) -> None:
        """Make a request about the pod, which may be gone."""
        try:
            request(self.name, self.namespace, **arguments)
        except client.ApiException as error:
            if error.status != 404:
                raise


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
