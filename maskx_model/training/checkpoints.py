"""The checkpoints of a training while it runs: copied to the CPU at once, written by a thread."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from maskx_model.artifacts.origin import Origin
from maskx_model.run_config import RunConfig
from maskx_model.training.checkpoint import TrainingState, load_training_state, save_training_state


class Checkpoints:
    """Where a training keeps its checkpoints: the folder's URI, the inputs that they belong to, and the configuration
    that each of them carries."""

    def __init__(self, uri: str, made_from: Origin, run: RunConfig | None = None) -> None:
        self.uri, self.made_from, self.run = uri, made_from, run
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def below(self, name: str, inputs: Origin) -> "Checkpoints":
        """Those of a part of the training, which has further inputs."""
        return Checkpoints(f"{self.uri}/{name}", {**self.made_from, **inputs}, self.run)

    def latest(self) -> TrainingState | None:
        """The newest that is whole, or None to begin; errors as `load_training_state`."""
        return load_training_state(self.uri, self.made_from)

    def save(self, state: TrainingState) -> None:
        """Take the state as it is now, and write it while training goes on.

        Waits for the checkpoint before, if it is still being written; raises what went wrong with that one.
        """
        self.finish()
        own = _copied(state)
        self._pending = self._writer.submit(save_training_state, self.uri, own, self.made_from, self.run)

    def finish(self) -> None:
        """Wait until the last checkpoint stands; raises StorageError if it could not be written."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


def _copied(state: TrainingState) -> TrainingState:
    """The state with tensors of its own in the CPU's memory, which training cannot change."""
    return replace(state, tensors={name: t.detach().to("cpu", copy=True) for name, t in state.tensors.items()})
