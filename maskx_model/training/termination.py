"""A machine that is taken away: SIGTERM ends a training after its step, with a checkpoint, to be started again."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger(__name__)

EXIT_CODE = 128 + signal.SIGTERM
"""What a process that SIGTERM ended exits with: schedulers start it again."""


class TerminatedError(SystemExit):
    """A training that SIGTERM ended; its checkpoint is written."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


@contextmanager
def noticed_termination() -> Iterator[threading.Event]:
    """Until the block ends SIGTERM only sets the event. In a thread, where Python takes no signals, nothing changes."""
    terminated = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield terminated
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        terminated.set()

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before)
