"""The training loop. One loop serves every stage; a stage is what it trains and what its loss is (`stages.py`)."""

import logging
import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import msgspec
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from data_prep.storage.errors import ConfigError, MaskxError
from maskx_model.data.seeds import step_seed
from maskx_model.model.compute import in_precision_of, repeatable
from maskx_model.model.synced_batch_norm import restore_batch_norms
from maskx_model.schedules import Schedule
from maskx_model.training.average import MovingAverage
from maskx_model.training.distributed import check_same_step, current_world, shared
from maskx_model.training.module_state import capture, restore
from maskx_model.training.optimizer import build_optimizer, learning_rate_factor
from maskx_model.training.progress import Progress, memory_text
from maskx_model.training.remedies import against_divergence, against_memory
from maskx_model.training.session import BY_ITSELF, Session
from maskx_model.training.stall import EXCHANGING, StallWatch
from maskx_model.training.step import NotFiniteError, check_weights, make_step
from maskx_model.training.task import Batch, Losses, Measured, Task
from maskx_model.training.termination import NAMES, TerminatedError, noticed_termination

logger = logging.getLogger(__name__)


class DivergedError(MaskxError):
    """A loss, a gradient or a weight became infinite or NaN."""


class OutOfMemoryError(MaskxError):
    """The device has not enough memory for a step."""


REHEARSED = 3
"""Steps of a rehearsal; the first is not timed."""


def train(
    task: Task[Batch], schedule: Schedule, learning_rate: float, seed: int, session: Session = BY_ITSELF
) -> bytes:
    """Train the task's parameters that require gradients for `schedule.steps` steps; returns the metric lines.

    The sum of the losses is minimized. With checkpoints a training resumes from its last one, to the same weights as if
    it had never stopped: batches are a function of the step, and so is the seed of everything random in it. All ranks
    call this together; the first writes checkpoints and feeds the observers.

    Raises:
        DivergedError: a loss, a gradient or a weight is not finite; names the step and the images of its batch. Module
            and checkpoint stay as a good step left them.
        OutOfMemoryError: names what to lower.
        TerminatedError: after SIGTERM or Ctrl-C on any rank, when the step is made and its checkpoint is written.
        MaskxError: another rank has stopped.
    """
    training = _Training(task, schedule, learning_rate, seed, session)
    sink = training.sink
    try:
        with repeatable(training.device):
            return training.run()
    finally:
        restore_batch_norms(task.module)
        try:
            if session.checkpoints is not None:
                session.checkpoints.finish()
        finally:
            if sink is not None:
                sink.close()


class _Training:
    """A training under way on this rank."""

    def __init__(self, task: Task[Any], schedule: Schedule, learning_rate: float, seed: int, session: Session) -> None:
        self.task, self.schedule, self.learning_rate, self.seed = task, schedule, learning_rate, seed
        self.session, self.world = session, current_world()
        self.module = task.module
        self.device = next(self.module.parameters()).device
        self.optimizer = build_optimizer(self.module, schedule)
        self.average = None if schedule.average is None else MovingAverage(self.module, schedule.average)
        self.sink = session.observers.sink if self.world.is_first else None
        self.metrics = b""
        self.start = 0 if session.rehearsal else self._resumed()
        forward = _Forward(task, schedule, self.device)
        self.forward = shared(forward) if self.world.size > 1 else forward

    def run(self) -> bytes:
        """Makes the steps that are left; returns the metric lines of all."""
        last = min(self.schedule.steps, self.start + REHEARSED) if self.session.rehearsal else self.schedule.steps
        shown = self.world.is_first and not self.session.quiet
        progress = Progress(self.task.title, self.start, last, self.schedule.images_per_batch, shown)
        with noticed_termination() as terminated, StallWatch(self.task.title, self.world) as watch:
            for step, batch in progress.numbered(self.task.batches(self.start), watch):
                if self.session.rehearsal:
                    logger.info("%s, step %d: %s", self.task.title, step, self.task.shapes(batch))
                losses = self._step(step, batch, watch)
                done = step + 1
                if done % self.schedule.log_every == 0 or done == last or self.session.rehearsal:
                    self._log(done, losses, progress)
                score = self._look(done)
                watch.doing(step, EXCHANGING)
                to_stop = self.world.any(terminated.by is not None, self.device) and done < last
                if (done % self.schedule.checkpoint_every == 0 or to_stop or score is not None) and done < last:
                    self._save(done, score)
                if to_stop:
                    self._stop(done, terminated.by or signal.SIGTERM)
        if self.average is not None:
            self.average.write_to(self.module)
        self._check_weights(last)
        return self.metrics

    def _step(self, step: int, batch: Any, watch: StallWatch) -> Losses:
        torch.manual_seed(step_seed(self.seed, step))
        without_sum = self.forward.no_sync if isinstance(self.forward, DistributedDataParallel) else nullcontext
        parts = [partial(self.forward, part) for part in self._parts(batch)]
        try:
            losses = make_step(
                self.module, self.optimizer, parts, self._rate(step), self.schedule.clip_norm, self.world, without_sum
            )
        except NotFiniteError as error:
            keys = self.world.exchange(", ".join(self.task.keys(batch)) if error.here else "")
            raise self._diverged(step, ", ".join(filter(None, keys)), error) from None
        except torch.OutOfMemoryError as error:
            raise self._out_of_memory(step, error) from None
        except RuntimeError as error:
            if self.world.size == 1:
                raise
            raise MaskxError(
                f"{self.task.title}, step {step}, rank {self.world.rank}: {str(error).splitlines()[0]} "
                f"({watch.report()}); the same command resumes from the last checkpoint"
            ) from error
        if self.average is not None:
            self.average.update(self.module)
        return losses

    def _rate(self, step: int) -> float:
        return self.learning_rate * learning_rate_factor(self.schedule, step)

    def _parts(self, batch: Any) -> list[Any]:
        count = self.schedule.accumulate
        if count == 1:
            return [batch]
        each, rest = divmod(len(batch), count)
        if rest:
            raise ConfigError(
                f"accumulate: {len(batch)} images of a rank cannot be taken in {count} equal parts; choose a divisor"
            )
        return [self.task.part(batch, slice(i * each, (i + 1) * each)) for i in range(count)]

    def _log(self, done: int, losses: Losses, progress: Progress) -> None:
        values = {"learning_rate": self._rate(done - 1)} | {name: value.item() for name, value in losses.items()}
        self.metrics += msgspec.json.encode({"step": done, **values}) + b"\n"
        machine = progress.told(done, values["loss"])
        if self.sink is not None:
            self.sink.write(done, {**values, **machine})
        if self.session.rehearsal and done == self.start + REHEARSED:
            self._tell_costs(machine)

    def _look(self, done: int) -> float | None:
        """What the watch sees, if it is its turn; the score that it gives the model."""
        watch = self.session.observers.watch
        if watch is None or done % watch.every or self.session.rehearsal:
            return None
        values = watch(done, self.module if self.average is None else self.average.module)
        if self.sink is not None:
            self.sink.write(done, values)
        said = self.world.exchange(msgspec.json.encode(values.get(watch.best_by)).decode())[0]
        return msgspec.json.decode(said, type=float | None)

    def _save(self, done: int, score: float | None) -> None:
        self._check_weights(done)
        if self.session.checkpoints is not None and self.world.is_first and not self.session.rehearsal:
            state = capture(done, self.module, self.optimizer, self.metrics, self.average, score)
            self.session.checkpoints.save(state)

    def _stop(self, done: int, asked_by: signal.Signals) -> None:
        began = time.perf_counter()
        if self.session.checkpoints is None:
            logger.warning("%s: %s; ended after step %d", self.task.title, NAMES[asked_by], done)
        else:
            self.session.checkpoints.finish()
            self.world.wait_for_all()
            logger.warning(
                "%s: %s; step %d is saved (in %.1f s), so that no step is lost; the same command resumes there",
                self.task.title,
                NAMES[asked_by],
                done,
                time.perf_counter() - began,
            )
        raise TerminatedError(asked_by)

    def _resumed(self) -> int:
        """The step to begin with, with module, optimizer and metric lines as they were."""
        if self.session.checkpoints is None:
            return 0
        state = self.session.checkpoints.latest()
        check_same_step(self.session.checkpoints.uri, state.step if state else 0)
        if state is None:
            return 0
        restore(state, self.module, self.optimizer, self.average)
        self.metrics = state.metrics
        logger.info("%s: resumes after step %d of %d", self.task.title, state.step, self.schedule.steps)
        return state.step

    def _check_weights(self, done: int) -> None:
        try:
            check_weights(self.module)
        except FloatingPointError as error:
            raise self._diverged(done - 1, "", error) from None

    def _diverged(self, step: int, keys: str, error: FloatingPointError) -> DivergedError:
        images = f" (images {keys})" if keys else ""
        return DivergedError(f"{self.task.title}, step {step}{images}: {error}; {against_divergence(self.task.group)}")

    def _out_of_memory(self, step: int, error: BaseException) -> OutOfMemoryError:
        return OutOfMemoryError(
            f"{self.task.title}, step {step}: {str(error).splitlines()[0]}; "
            f"{against_memory(self.task.group, self.schedule)}"
        )

    def _tell_costs(self, machine: Mapping[str, float]) -> None:
        seconds = self.schedule.images_per_batch / machine["system/images_per_second"]
        logger.info(
            "%s: %.2f s a step, %s of memory at most; %d steps would take %.1f hours on this machine",
            self.task.title,
            seconds,
            memory_text(machine),
            self.schedule.steps,
            self.schedule.steps * seconds / 3600,
        )


class _Forward(nn.Module):
    """The loss of a part of a batch as a module, which torch's DistributedDataParallel takes."""

    def __init__(self, task: Task[Any], schedule: Schedule, device: torch.device) -> None:
        super().__init__()
        self.module = task.module
        self._task, self._schedule, self._device = task, schedule, device

    def forward(self, part: Any) -> Measured:
        """The losses of that part, in the schedule's precision."""
        with in_precision_of(self._schedule.compute, self._device):
            return self._task.loss(part)
