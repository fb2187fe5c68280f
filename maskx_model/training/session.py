"""One session of a training, from a start or resume to its end or stop: its ranks, its checkpoints, who follows it.

The trained model does not depend on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from maskx_model.artifacts.model_folder import LoadedModel, save_model
from maskx_model.artifacts.origin import Origin
from maskx_model.run_config import RunConfig
from maskx_model.training.checkpoints import Checkpoints
from maskx_model.training.distributed import check_agreement, current_world, joined_world
from maskx_model.training.metric_sink import NOBODY, Observers

REHEARSED_IMAGES = 64
"""Images that a rehearsal reads at most, where something is made of all of them before the first step."""


@dataclass(frozen=True)
class Session:
    """What the loop knows of a session. `rehearsal`: make three steps, tell what they cost, and keep nothing. `quiet`:
    show no progress bar."""

    checkpoints: Checkpoints | None = None
    observers: Observers = NOBODY
    rehearsal: bool = False
    quiet: bool = False

    def below(self, name: str, inputs: Origin) -> "Session":
        """That of a part of the training, which has further inputs and checkpoints of its own."""
        return replace(self, checkpoints=self.checkpoints and self.checkpoints.below(name, inputs))


BY_ITSELF = Session()


@dataclass(frozen=True)
class RankSession:
    """A session on this rank: the device it computes on, and where the model is written in the end."""

    device: str
    session: Session
    out: str
    made_from: Origin

    def save(self, model: LoadedModel, metrics: bytes) -> None:
        """Write the trained model's folder, once for all ranks; nothing after a rehearsal."""
        world = current_world()
        if world.is_first and not self.session.rehearsal:
            save_model(self.out, model, self.made_from, metrics)
        world.wait_for_all()


@contextmanager
def rank_session(
    out: str, made_from: Origin, run: RunConfig, device: str | None, observers: Observers, rehearsal: bool
) -> Iterator[RankSession]:
    """Join the ranks of a training and have them agree on its inputs.

    Raises ConfigError for a device that is not there, or ranks that were started with different inputs.
    """
    with joined_world(device) as own:
        check_agreement(out, made_from)
        yield RankSession(own, Session(Checkpoints(out, made_from, run), observers, rehearsal), out, made_from)
