"""Advance a bar while workers, in other processes or on other machines, do the work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from data_prep.storage.errors import StorageError

SECONDS = 1


@contextmanager
def advancing(advance: Callable[[], object]) -> Iterator[None]:
    """Call `advance` every second while the block runs, and once more after it.

    Storage that does not answer meanwhile is passed over: the workers report it.
    """
    done = Event()

    def watch() -> None:
        while not done.wait(SECONDS):
            with suppress(StorageError):
                advance()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(StorageError):
            advance()
