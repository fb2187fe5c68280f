"""How a training gets on: the progress bar, and what the machine does, for the sink."""

import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import torch
from tqdm import tqdm

from maskx_model.training.stall import StallWatch

Batch = TypeVar("Batch")


class Progress:
    """The bar of a training of `steps` steps from step `start`, and its speed. `images`: of one step, on all ranks."""

    def __init__(self, title: str, start: int, steps: int, images: int, shown: bool) -> None:
        self.title, self.steps, self.images = title, steps, images
        self.bar = tqdm(desc=title, unit="step", initial=start, total=steps, mininterval=1, disable=not shown)
        self._waited = 0.0
        self._since, self._done = time.perf_counter(), start

    def numbered(self, batches: Iterable[Batch], watch: StallWatch) -> Iterator[tuple[int, Batch]]:
        """Each step's number and batch; the time spent waiting for batches is measured, and a stall told."""
        following = iter(batches)
        for step in range(self._done, self.steps):
            watch.doing(step, "waiting for data")
            asked = time.perf_counter()
            batch = next(following, None)
            if batch is None:
                raise RuntimeError(f"{self.title}: the batches end before step {step}")
            self._waited += time.perf_counter() - asked
            watch.doing(step, "training")
            yield step, batch
            self.bar.update()
        self.bar.close()

    def told(self, step: int, loss: float) -> dict[str, float]:
        """Shows the loss, and returns what the machine did since it was last asked, under `system/` (`MetricSink`)."""
        now = time.perf_counter()
        seconds, steps = now - self._since, max(step - self._done, 1)
        figures = {
            "images_per_second": self.images * steps / seconds,
            "data_wait": self._waited / seconds,
            "memory_bytes": float(_memory_bytes()),
            "seconds_left": (self.steps - step) * seconds / steps,
        }
        self._since, self._done, self._waited = now, step, 0.0
        shown = {"loss": f"{loss:.3f}", "images/s": f"{figures['images_per_second']:.1f}"}
        if figures["data_wait"] >= 0.05:
            shown["waiting for data"] = f"{figures['data_wait']:.0%}"
        self.bar.set_postfix(shown, refresh=False)
        return {f"system/{name}": value for name, value in figures.items()}


def _memory_bytes() -> int:
    """The most memory that was in use: the GPU's where there is one, else the process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_text(values: Mapping[str, float]) -> str:
    """The memory of such figures, in GB."""
    return f"{values['system/memory_bytes'] / 1e9:.1f} GB"
