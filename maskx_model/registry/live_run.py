"""A training's MLflow run that fills while the training goes on.

Numbers and pictures go to a spool on disk at once; a thread sends them. A server that is down slows nothing: what it
does not take waits in the spool, for the thread's next try, the next start of the training, or `maskx model register`.
"""

import io
import logging
import threading
import time
from collections.abc import Mapping

from data_prep.pages.drawing import Picture
from maskx_model.registry.credentials import shown
from maskx_model.registry.live_machine import Machine
from maskx_model.registry.live_runs import now
from maskx_model.registry.live_sender import SpoolSender
from maskx_model.registry.live_spool import Point, Spool, Turn, finite

logger = logging.getLogger(__name__)

SYSTEM = "system/"
SEND_EVERY = 2.0
"""Seconds between two tries; the pause doubles after each that fails."""
LONGEST_PAUSE = 60.0
WAIT = 20.0
"""Seconds that the end of a training waits for the server at most."""


class LiveRun:
    """The sink of a training (`maskx_model.training.metric_sink.MetricSink`) that leads to MLflow."""

    def __init__(self, spool: Spool, tracking_uri: str) -> None:
        """Begins to send to that server, and what an earlier start has left in the spool first. To be made, and to be
        ended, within `live_sender.little_patience`."""
        self._spool, self._sender, self._machine = spool, SpoolSender(spool, tracking_uri), Machine()
        self._asked = threading.Event()
        self._changed = threading.Condition()
        self._begun = self._done = 0
        self._problem: str | None = None
        self._part = ""
        self._over = False
        spool.add(Turn(now(), "RUNNING"))
        self._thread = threading.Thread(target=self._send_again_and_again, name="mlflow", daemon=True)
        self._thread.start()

    def begin(self, part: str) -> None:
        """What follows is of that part of the training: its numbers are called `PART/loss`, or `loss` without one."""
        self._part = f"{part}/" if part else ""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers after that step, with the machine's; a number that is not finite has no point."""
        named = {self._named(name): value for name, value in {**values, **self._machine.figures()}.items()}
        self._spool.add(Point(now(), step, finite(named)))

    def show(self, step: int, key: str, picture: Picture) -> None:
        """Takes a picture, uint8 [H, W, 3] RGB, of the image with that key."""
        from PIL import Image

        png = io.BytesIO()
        Image.fromarray(picture).save(png, "PNG")
        self._spool.add_picture(now(), step, self._named(key), png.getvalue())

    def _named(self, name: str) -> str:
        """The number of this part; MLflow shows what is called `system/…` on a page of its own."""
        kind = SYSTEM if name.startswith(SYSTEM) else ""
        return f"{kind}{self._part}{name.removeprefix(kind)}"

    def close(self) -> None:
        """Waits until the server has everything, until it refuses, or `WAIT` seconds."""
        with self._changed:
            wanted = self._begun + 1
            self._asked.set()
            self._changed.wait_for(lambda: self._done >= wanted or not self._spool.waits, WAIT)

    def end(self, status: str) -> None:
        """The training is over: `FINISHED`, `FAILED` or `KILLED`. Says what stays in the spool, if anything does."""
        self._spool.add(Turn(now(), status))
        self.close()
        self._over = True
        self._asked.set()
        if self._spool.waits:
            logger.warning(
                "%s: %d lines are not sent to %s (%s); they go there when the training is started again, or with "
                "`maskx model register`",
                self._spool.folder,
                self._spool.waiting(),
                self._spool.description.tracking_uri,
                self._problem or "it does not answer",
            )

    def _send_again_and_again(self) -> None:
        pause = SEND_EVERY
        while not self._over:
            with self._changed:
                self._begun += 1
            problem = self._try()
            pause = SEND_EVERY if problem is None else min(2 * pause, LONGEST_PAUSE)
            with self._changed:
                self._done += 1
                self._changed.notify_all()
            self._asked.wait(pause)
            self._asked.clear()

    def _try(self) -> str | None:
        """What went wrong, in a line; told when it begins and when it is over."""
        began = time.monotonic()
        try:
            self._sender.send_all()
        except Exception as error:  # whatever MLflow or its store raises: the training goes on
            problem = _reason(error)
            if self._problem is None:
                logger.warning(
                    "%s: does not accept metrics (%s); training continues, they wait in %s",
                    self._spool.description.tracking_uri,
                    problem,
                    self._spool.folder,
                )
            self._problem = problem
            return problem
        if self._problem is not None:
            logger.info(
                "%s: answers again; what waited is sent (%.1f s)",
                self._spool.description.tracking_uri,
                time.monotonic() - began,
            )
        self._problem = None
        return None


def _reason(error: BaseException) -> str:
    """What is at the bottom of an error, in a line: of a failed request, that the connection was refused."""
    reason, below = error, error
    while below := below.__cause__ or below.__context__:  # type: ignore[assignment]
        reason = below if isinstance(below, OSError) else reason
    return shown((str(reason) or type(reason).__name__).splitlines()[0])[:200]
