"""Who keeps a training waiting: a thread that names the rank and what it does when no step ends for a minute."""

import logging
import threading
import time
from contextlib import suppress
from typing import Self

import msgspec

from maskx_model.training.distributed import World, common_store

logger = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two messages of a rank to the others."""
PATIENCE = 60.0
"""Seconds without progress after which the thread speaks up, each time anew."""


class _Beat(msgspec.Struct, frozen=True):
    """What a rank was doing at `time`, in seconds since the epoch, and since when."""

    time: float
    step: int
    doing: str
    since: float


class StallWatch:
    """Watches a training's steps, on all ranks; `doing` tells it what comes next."""

    def __init__(self, title: str, world: World, patience: float = PATIENCE) -> None:
        self.title, self.world, self.patience = title, world, patience
        self._state = _Beat(time.time(), 0, "starting", time.time())
        self._ended = threading.Event()
        self._store = common_store(world) if world.size > 1 else None
        self._thread = threading.Thread(target=self._watch, name="stall watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def doing(self, step: int, what: str) -> None:
        """This rank begins with `what`, such as "waiting for data", in that step."""
        now = time.time()
        self._state = _Beat(now, step, what, now)

    def report(self) -> str:
        """Which rank the training waits for, as far as can be told, and what that rank does."""
        now = time.time()
        if self._store is None:
            return f"{self._state.doing} for {now - self._state.since:.0f} s"
        beats = [_Beat(0.0, 0, "", 0.0)] * self.world.size
        try:
            for rank in range(self.world.size):
                if self._store.check([str(rank)]):
                    beats[rank] = msgspec.json.decode(self._store.get(str(rank)), type=_Beat)
        except RuntimeError:
            return "rank 0, which keeps what the ranks say, does not answer"
        silent = [
            f"rank {rank}, not heard of for {now - beat.time:.0f} s"
            for rank, beat in enumerate(beats)
            if now - beat.time > 4 * BEAT
        ]
        behind = min(beat.step for beat in beats)
        late = [
            f"rank {rank}, {beat.doing} for {now - beat.since:.0f} s (step {beat.step})"
            for rank, beat in enumerate(beats)
            if beat.step == behind and beat.doing != EXCHANGING
        ]
        return "waiting for " + ("; ".join(silent or late) or "the network between the ranks")

    def _watch(self) -> None:
        told = self._state.since
        while not self._ended.wait(min(BEAT, self.patience)):
            state, now = self._state, time.time()
            if self._store is not None:
                with suppress(RuntimeError):  # rank 0 is gone: the next sum over the ranks fails, and tells so
                    self._store.set(str(self.world.rank), msgspec.json.encode(_renewed(state, now)).decode())
            if now - max(state.since, told) > self.patience:
                told = now
                logger.warning("%s, step %d: %s", self.title, state.step, self.report())


EXCHANGING = "exchanging gradients"


def _renewed(state: _Beat, now: float) -> _Beat:
    return _Beat(now, state.step, state.doing, state.since)
