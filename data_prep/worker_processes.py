"""Beam's worker processes on this machine, with an eye on them.

Beam waits for ever for the answer of a worker process that was killed, by the kernel for want of memory, say. With this
module imported the job fails instead, and leaves no process behind.
"""

import os
import subprocess
import tempfile
from threading import Event, Thread
from typing import Any, BinaryIO

from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from google.protobuf import json_format, text_format

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_END = 5


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(GrpcWorkerHandler):
    """A worker process of Beam's; once it has ended by itself, all that is asked of it fails."""

    def __init__(self, command: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._command = command.decode().split()
        self._stopping = Event()

    def start_worker(self) -> None:
        """Start the process, and the thread that waits for its end."""
        told = {
            "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.control_api_service_descriptor()),
            "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.logging_api_service_descriptor()),
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
        }
        # What goes wrong in the graph comes back as an error; a worker's own log would bury it.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process lives)
        self._process = subprocess.Popen(
            self._command, env={**os.environ, **told}, stdout=self._log, stderr=subprocess.STDOUT
        )
        Thread(target=self._watch, daemon=True).start()

    def stop_worker(self) -> None:
        """Wait until the process has ended, as it does when nothing more is asked of it; or kill it."""
        self._stopping.set()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:  # it had not begun to listen when the job failed
            self._process.kill()
            self._process.wait()

    def _watch(self) -> None:
        status = self._process.wait()
        if self._stopping.is_set():
            return
        error = _describe(status, _last_words(self._log))
        while not self._stopping.wait(_SECONDS_BETWEEN_LOOKS):
            for asked in list(self.control_conn._futures_by_id.values()):
                asked.set(beam_fn_api_pb2.InstructionResponse(error=error))


def _describe(status: int, last_words: str) -> str:
    how = f"was killed by signal {-status} (9: often for want of memory)" if status < 0 else f"ended with {status}"
    return f"a worker process {how} before its work was done ({last_words})"


def _last_words(log: BinaryIO) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - 1000))
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
