"""The spool of a live run: on disk, what goes to MLflow stays here until the server has it.

A folder: `run.json` says what run it is, `events.jsonl` has a line for each event in the order of time, `sent.json` how
many of its bytes are sent, `pictures/` what is to be shown. It is complete in itself but for the server's
credentials: whoever has these can send it.
"""

import logging
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from data_prep.storage.errors import JSON_ERRORS, DataError, StorageError
from data_prep.storage.own_files import read_own
from data_prep.storage.storage import read, write
from maskx_model.registry.run_contents import DatasetReference

logger = logging.getLogger(__name__)

RUN, EVENTS, SENT, PICTURES = "run.json", "events.jsonl", "sent.json", "pictures"


@dataclass(frozen=True)
class LiveDescription:
    """What is known of a training's run before it begins.

    `training`: a hash of its folder and inputs, by which a resumed training finds its run. `folder`, `root`: URIs of
    the stage's folder and the one above, that of the pipeline. `tracking_uri` is without credentials, as it is written
    beside the model. `parent_run`: the run that it was started in, if there is one. `parameters`: flat
    (`preset.stage1.steps`).
    """

    training: str
    folder: str
    root: str
    tracking_uri: str
    experiment: str
    parent_run: str | None
    parameters: dict[str, str]
    dataset: DatasetReference


class Point(msgspec.Struct, frozen=True, tag="point"):
    """Numbers of a step, taken at that time (ms since 1970)."""

    at: int
    step: int
    values: dict[str, float]


class Shown(msgspec.Struct, frozen=True, tag="picture"):
    """A picture of a step, of the image with that key; `file` is a PNG below PICTURES."""

    at: int
    step: int
    key: str
    file: str


class Turn(msgspec.Struct, frozen=True, tag="status"):
    """The training began, or ended: RUNNING, FINISHED, FAILED or KILLED."""

    at: int
    status: str


Event = Point | Shown | Turn
_LINE = msgspec.json.Decoder(Event)


@dataclass(frozen=True)
class Unsent:
    """Events that wait, and how many bytes of the file lie before the next ones."""

    events: tuple[Event, ...]
    end: int


class Spool:
    """A spool's folder on disk. One thread adds, another one takes; each event is on disk when `add` returns."""

    def __init__(self, folder: Path, description: LiveDescription | None = None) -> None:
        """Opens a spool, or with a `description` makes it. What a killed process has left of a line is cut off; what
        another training has left in the folder is dropped, and the log says so.

        Raises DataError for a folder that holds no spool, StorageError where it cannot be written.
        """
        self.folder = folder
        self._lock = threading.Lock()
        self._events = folder / EVENTS
        if description is not None:
            if (folder / RUN).exists() and _described(folder).training != description.training:
                logger.warning("%s: holds what another training in this folder has left; it is dropped", folder)
                shutil.rmtree(folder)
            write(folder / RUN, msgspec.json.encode(description))
        self.description = _described(folder)
        whole = self._events.read_bytes() if self._events.exists() else b""
        self._size = whole.rfind(b"\n") + 1
        self._sent = self._read_sent()
        if self._size < len(whole):
            with self._events.open("r+b") as file:
                file.truncate(self._size)

    def add(self, event: Event) -> None:
        """Append an event; raises StorageError if the disk is full."""
        line = msgspec.json.encode(event) + b"\n"
        with self._lock:
            try:
                with self._events.open("ab") as file:
                    file.write(line)
            except OSError as error:
                raise StorageError(f"{self._events}: cannot be written ({error.strerror}); make room there") from None
            self._size += len(line)

    def add_picture(self, at: int, step: int, key: str, png: bytes) -> None:
        """Append a picture."""
        name = f"{step:08d}-{flat(key)}.png"
        write(self.folder / PICTURES / name, png)
        self.add(Shown(at, step, key, name))

    @property
    def waits(self) -> bool:
        """Whether something is not sent yet."""
        return self._sent < self._size

    def unsent(self, most: int) -> Unsent:
        """The first events that are not sent, so many at most."""
        with self._lock:
            size = self._size
        if self._sent >= size:
            return Unsent((), self._sent)
        events: list[Event] = []
        end = self._sent
        with self._events.open("rb") as file:
            file.seek(end)
            while end < size and len(events) < most:
                line = file.readline()
                events.append(_decoded(self._events, line))
                end += len(line)
        return Unsent(tuple(events), end)

    def waiting(self) -> int:
        """How many events are not sent."""
        return len(self.unsent(1 << 62).events)

    def mark_sent(self, unsent: Unsent) -> None:
        """The server has these events."""
        self._sent = unsent.end
        write(self.folder / SENT, msgspec.json.encode(unsent.end))
        for event in unsent.events:
            if isinstance(event, Shown):
                (self.folder / PICTURES / event.file).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget the events, which are sent; what run it is stays. Killed in between, it sends them once more."""
        for name in (SENT, EVENTS):
            (self.folder / name).unlink(missing_ok=True)
        self._size = self._sent = 0

    def _read_sent(self) -> int:
        file = self.folder / SENT
        sent = read_own(file, int) if file.exists() else 0
        if sent > self._size:  # a power failure took events that were sent
            write(file, msgspec.json.encode(self._size))
        return min(sent, self._size)


def _described(folder: Path) -> LiveDescription:
    try:
        return msgspec.json.decode(read(folder / RUN), type=LiveDescription)
    except JSON_ERRORS as error:
        raise DataError(f"{folder / RUN}: not the description of a run ({error}); delete {folder}") from None


def _decoded(file: Path, line: bytes) -> Event:
    try:
        event: Event = _LINE.decode(line)
    except JSON_ERRORS as error:
        raise DataError(f"{file}: {line[:60]!r} is no event ({error}); delete the file to go on without it") from None
    return event


def flat(key: str) -> str:
    """A picture's key as a part of a file's name, as MLflow writes it too."""
    return key.replace("/", "~")


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The values that JSON can hold."""
    return {name: float(value) for name, value in values.items() if abs(value) < float("inf")}
