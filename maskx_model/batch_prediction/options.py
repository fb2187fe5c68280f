"""The options of batch prediction."""

from dataclasses import dataclass

from data_prep.beam.engine import Engine
from data_prep.storage.errors import ConfigError
from maskx_model.config import PLAIN, Compute

HERE = Engine()
"""This process."""


@dataclass(frozen=True)
class BatchOptions:
    """What is predicted on, by which model, and where.

    Either `inputs`, files and folders of images, or `dataset`, a prepared one, with `split` (None: all splits).
    `batch`: number of images of one size that are computed at a time. `max_rejected`: fraction of the images that may
    be unreadable, 0 to 1. Raises ConfigError for options that do not go together.
    """

    model: str
    out: str
    inputs: tuple[str, ...] = ()
    dataset: str | None = None
    split: str | None = None
    batch: int = 1
    max_rejected: float = 0.01
    engine: Engine = HERE
    compute: Compute = PLAIN
    tracking_uri: str | None = None

    def __post_init__(self) -> None:
        if bool(self.inputs) == (self.dataset is not None):
            raise ConfigError("name what to predict on: either INPUT …, files and folders of images, or --dataset URI")
        if self.split is not None and self.dataset is None:
            raise ConfigError(f"--split {self.split}: is that of a dataset; name it with --dataset")
        if self.batch < 1:
            raise ConfigError(f"--batch {self.batch}: must be at least 1")
        if not 0 <= self.max_rejected <= 1:
            raise ConfigError(f"--max-rejected {self.max_rejected}: must be a fraction, from 0 to 1")
        self.engine.check_path(self.out, f"--out {self.out}")
        for path in (*self.inputs, *filter(None, [self.dataset])):
            self.engine.check_path(path, "what to predict on")
        if not self.model.startswith("models:/"):
            self.engine.check_path(self.model, "the model")
