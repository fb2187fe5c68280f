"""Beam's worker processes on this machine, with an eye on them.

Beam waits for ever for the answer of a worker process that was killed, by the kernel for want of memory, say. With this
module imported the job fails instead, and leaves no process behind.
"""

from threading import Event, Thread
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from google.protobuf import json_format, text_format

from data_prep.beam import forked_workers
from data_prep.beam.jobs import how_it_ended

_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_END = 5


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(GrpcWorkerHandler):
    """A worker process of Beam's; once it has ended by itself, all that is asked of it fails."""

    def __init__(self, _command: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._stopping = Event()

    def start_worker(self) -> None:
        """Let a process begin, and a thread wait for its end."""
        self._worker = forked_workers.take()
        self._worker.tell(
            {
                "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.control_api_service_descriptor()),
                "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.logging_api_service_descriptor()),
                "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
                "WORKER_ID": self.worker_id,
            }
        )
        self._watcher = Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def stop_worker(self) -> None:
        """Wait until the process has ended, as it does when nothing more is asked of it; or kill it."""
        self._stopping.set()
        self._watcher.join(_SECONDS_TO_END)
        self._worker.kill()  # if it had not begun to listen when the job failed

    def _watch(self) -> None:
        status = self._worker.wait()
        if self._stopping.is_set():
            return
        error = f"a worker process {how_it_ended(status)} ({self._worker.last_words()})"
        while not self._stopping.wait(_SECONDS_BETWEEN_LOOKS):
            for asked in list(self.control_conn._futures_by_id.values()):
                asked.set(beam_fn_api_pb2.InstructionResponse(error=error))
