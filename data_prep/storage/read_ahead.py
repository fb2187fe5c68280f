"""What is read in a known order is on its way before it is asked for; of files, those in object storage."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from data_prep.storage.storage import is_on_disk, read

Read = Callable[[str], bytes]
T = TypeVar("T")

AHEAD = 16
"""Groups in flight: an answer takes some 30 ms, an image's work about 3."""


def read_ahead(groups: Iterable[Sequence[str]]) -> Generator[Read, None, None]:
    """For each group of URIs, in order, a `read` that has those in object storage at hand.

    It gives and raises what `storage.read` does; nothing is raised for a file that nobody asks for.
    """
    with reading_threads(AHEAD) as threads:
        begun = ({uri: threads.submit(read, uri) for uri in group if not is_on_disk(uri)} for group in groups)
        yield from map(_reader, begun_ahead(begun, AHEAD))


def _reader(coming: dict[str, Future[bytes]]) -> Read:
    return lambda uri: coming[uri].result() if uri in coming else read(uri)


@contextmanager
def reading_threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads; when the block ends, also by an error, what they have not begun is left undone."""
    threads = ThreadPoolExecutor(number)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def begun_ahead(begun: Iterable[T], ahead: int) -> Iterator[T]:
    """The items of `begun` in order, each after the next `ahead` ones were drawn: drawing an item begins its work."""
    waiting: deque[T] = deque()
    for each in begun:
        waiting.append(each)
        if len(waiting) > ahead:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
