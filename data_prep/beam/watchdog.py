"""Beam's worker processes on this machine, watched: the job fails when one of them is killed.

Beam waits forever for the answer of a worker process that was killed, for lack of memory for example. This module
replaces Beam's handler for such processes by one that watches them. It needs one private field of Beam, the answers
that a connection waits for; pyproject.toml therefore pins apache-beam below its next minor release.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from google.protobuf import json_format, text_format

_COMMAND = [sys.executable, "-P", "-m", "apache_beam.runners.worker.sdk_worker_main"]
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_END = 5

_running: set[subprocess.Popen[bytes]] = set()


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(GrpcWorkerHandler):
    """A worker process. When it ends unasked, every request to it fails."""

    def __init__(self, _command: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._closing = Event()

    def start_worker(self) -> None:
        """Start the process, and a thread that waits for its end.

        It imports from the folders that this process imports from. Its log goes to a file, and is only shown if the
        process ends early: an error in the graph comes back as an answer.
        """
        environment = {
            **os.environ,
            "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.control_api_service_descriptor()),
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
            "PYTHONPATH": os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path),
        }
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the process runs)
        self._process = subprocess.Popen(
            _COMMAND, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        _running.add(self._process)
        self._watcher = Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Close the connections, which ends the process."""
        self._closing.set()
        with suppress(grpc.RpcError):  # the process was killed
            self.control_conn.close()
            self.data_conn.close()
        self.stop_worker()

    def stop_worker(self) -> None:
        """Wait until the process has ended; kill it if that takes too long, as when it has not connected yet."""
        self._watcher.join(_SECONDS_TO_END)
        self._process.kill()
        self._watcher.join()

    def _watch(self) -> None:
        status = self._process.wait()
        _running.discard(self._process)
        if self._closing.is_set():
            return
        error = f"a worker process {self._describe_exit(status)}"
        while not self._closing.wait(_SECONDS_BETWEEN_LOOKS):
            for awaited in list(self.control_conn._futures_by_id.values()):
                awaited.set(beam_fn_api_pb2.InstructionResponse(error=error))

    def _describe_exit(self, status: int) -> str:
        if status < 0:
            return f"was killed by signal {-status} (9: often for lack of memory)"
        self._log.seek(0)
        last_line = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"ended with {status} before its work was done: {last_line}"


def run_with_workers(run: Callable[[], Any]) -> None:
    """Call `run`; an interrupt (Ctrl-C) kills the worker processes, which Beam would wait for."""
    before = threading.excepthook
    threading.excepthook = partial(_hide_broken_connections, before)
    try:
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(run)
            try:
                running.result()
            except BaseException:
                for process in list(_running):
                    process.kill()
                raise
    finally:
        threading.excepthook = before


def _hide_broken_connections(
    tell: Callable[[threading.ExceptHookArgs], object], error: threading.ExceptHookArgs
) -> None:
    """Tell what ends a thread, but for the threads of Beam's that listened to a worker which was killed."""
    if not issubclass(error.exc_type, grpc.RpcError):
        tell(error)
