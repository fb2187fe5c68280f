"""A training that is to end, by SIGTERM or Ctrl-C, ends after its step, with a checkpoint, to be started again."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM
"""What a process that SIGTERM ended exits with: schedulers start it again."""
NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
"""The signals that a training notices."""


class TerminatedError(SystemExit):
    """A training that a signal ended; its checkpoint is written."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)


class Termination:
    """`by`: the signal that has asked for the end, None as long as none has."""

    by: signal.Signals | None = None


@contextmanager
def noticed_termination() -> Iterator[Termination]:
    """Until the block ends the first of these signals is only noted; Ctrl-C again interrupts at once.

    In a thread, where Python takes no signals, nothing changes.
    """
    noticed = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield noticed
        return

    def note(number: int, _frame: FrameType | None) -> None:
        noticed.by = signal.Signals(number)
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    before = {number: signal.signal(number, note) for number in NAMES}
    try:
        yield noticed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
