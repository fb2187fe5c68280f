"""From a spool to MLflow: each point once, whatever was sent before."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from maskx_model.registry.live_runs import is_ours, parent_of, status_of_children, steps_of, training_run
from maskx_model.registry.live_spool import PICTURES, Point, Shown, Spool, Turn, Unsent, flat
from maskx_model.registry.mlflow_run import METRICS_PER_CALL, client_of, set_quiet

logger = logging.getLogger(__name__)

EVENTS_AT_ONCE = 200
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's own settings, where the user has not chosen otherwise, while a spool is sent: its sender tries again by
itself."""


class SpoolSender:
    """Sends what is in a spool, in its order.

    Of two points of one number at one step the server gets the first alone: a resumed training makes steps again that
    it had sent before it was killed. What the server has is read when the sender begins, and after each failure.
    """

    def __init__(self, spool: Spool, tracking_uri: str) -> None:
        """`tracking_uri`: the server, with the credentials that the spool's description leaves out."""
        self._spool, self._tracking_uri = spool, tracking_uri
        self._client: Any = None
        self._run_id, self._is_new = "", False
        self._steps: dict[str, set[int]] = {}
        self._pictures: set[str] | None = None

    def send_all(self) -> str:
        """Send until nothing waits; returns the run's id. Raises what MLflow raises; the rest waits for the next
        call. To be called within `little_patience`."""
        try:
            if self._client is None:
                client = client_of(self._tracking_uri)
                self._run_id, self._is_new = training_run(client, self._spool.description)
                self._client = client
            while self._spool.waits:
                unsent = self._spool.unsent(EVENTS_AT_ONCE)
                self._send(unsent)
                self._spool.mark_sent(unsent)
        except BaseException:
            self._client, self._steps, self._pictures = None, {}, None
            raise
        return self._run_id

    def _send(self, unsent: Unsent) -> None:
        self._send_points([event for event in unsent.events if isinstance(event, Point)])
        for event in unsent.events:
            if isinstance(event, Shown):
                self._send_picture(event)
            elif isinstance(event, Turn):
                self._send_status(event)

    def _send_points(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        new = []
        for point in points:
            for name, value in point.values.items():
                steps = self._steps_of(name)
                if point.step not in steps:
                    steps.add(point.step)
                    new.append(Metric(name, value, point.at, point.step))
        for start in range(0, len(new), METRICS_PER_CALL):
            self._client.log_batch(self._run_id, metrics=new[start : start + METRICS_PER_CALL])

    def _steps_of(self, name: str) -> set[int]:
        if name not in self._steps:
            self._steps[name] = set() if self._is_new else steps_of(self._client, self._run_id, name)
        return self._steps[name]

    def _send_picture(self, shown: Shown) -> None:
        from PIL import Image

        if self._pictures is None:
            files = self._client.list_artifacts(self._run_id, "images")
            self._pictures = {file.path.partition("+timestamp+")[0] for file in files}
        name = f"images/{flat(shown.key)}+step+{shown.step}"
        file = self._spool.folder / PICTURES / shown.file
        if name not in self._pictures and file.exists():
            with Image.open(file) as picture:
                self._client.log_image(
                    self._run_id, picture, key=shown.key, step=shown.step, timestamp=shown.at, synchronous=True
                )
            self._pictures.add(name)

    def _send_status(self, turn: Turn) -> None:
        """The training's run is what the training is; the parent that was made for it, what all below it are."""
        self._set_status(self._run_id, turn.status, turn.at)
        parent = parent_of(self._client, self._run_id)
        if is_ours(self._client, parent):
            self._set_status(parent, status_of_children(self._client, parent), turn.at)

    def _set_status(self, run_id: str, status: str, at: int) -> None:
        if status == "RUNNING":
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status, at)


@contextmanager
def little_patience() -> Iterator[None]:
    """PATIENCE in the environment while spools are sent in the block. No other thread may change the environment as the
    block begins or ends; a sender that still waits for an answer then may get MLflow's own patience."""
    set_quiet()
    own = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)
