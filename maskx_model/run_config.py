"""A whole run as one value: its data, its model, its trainings, its seed. Presets make it; files and options change it
(`maskx_model.configure`)."""

from dataclasses import dataclass

from data_prep.storage.errors import ConfigError
from maskx_model.config import PLAIN, Compute, DetectorConfig, MaskConfig, ProtocolName, check_seed
from maskx_model.ranges import DATA, EVALUATION, GATES, PASSES, check_ranges
from maskx_model.schedules import NO_CROPS, CropSchedule, MaskSchedule, Schedule

ONLY_SOURCE = "only"
"""In place of a source's name: the only one that the dataset has."""


@dataclass(frozen=True)
class DataConfig:
    """What `prepare` is asked for."""

    classes: int | None
    """The number of most frequent synsets (COCO's classes are always in); None for all there are."""
    max_rejected: float = 0.01
    """Fraction of a source's images, and of its objects, that may be broken before the run fails. Ten, but at most a
    quarter of them, are always allowed."""
    toy_images: int | None = None
    """Images of the toy world to generate; None where the run brings its own data."""
    toy_val_images: int | None = None
    """Validation images of the toy world."""

    def __post_init__(self) -> None:
        check_ranges(self, DATA)


@dataclass(frozen=True)
class Passes:
    """Passes over the training images, which set a stage's steps once the dataset is known
    (`maskx_model.data.for_dataset`)."""

    stage1: float | None = None
    """Passes of stage 1; None leaves its steps as they stand, as does a change of its steps."""
    stage2: float | None = None
    """Passes of stage 2, in the same way."""
    joint: float | None = None
    """Passes end to end, in the same way."""
    least_steps: int = 2000
    """Steps that a stage makes at least, however few the images."""

    def __post_init__(self) -> None:
        for name in ("stage1", "stage2", "joint"):
            passes = getattr(self, name)
            if passes is not None and passes <= 0:
                raise ConfigError(f"{name}: more than 0 passes are needed, got {passes}")
        check_ranges(self, PASSES)


@dataclass(frozen=True)
class EvaluationConfig:
    """How the pipeline measures a model. A change of it trains nothing anew."""

    protocol: ProtocolName = "coco"
    """`coco` measures the classes that the source annotates exhaustively; `lvis` all that it annotates, each in the
    images where it is annotated or known to be absent."""
    max_images: int | None = None
    """The first validation images alone; None for all."""
    compute: Compute = PLAIN
    """How the model is computed."""

    def __post_init__(self) -> None:
        check_ranges(self, EVALUATION)


@dataclass(frozen=True)
class GatesConfig:
    """What a new version of the registered model must show to become the champion (`maskx_model/registry/gates.py`). A
    gate without its number is off; one whose figures are missing fails."""

    a_tolerance: float | None = 0.5
    """Percent points by which mask AP on A, or box AP where no mask was measured, may lie below the champion's; null
    turns the gate off."""
    b_gain: float | None = 0.0
    """Percent points by which mask AP on B must lie above the champion's; where B has no masks, its leave-classes-out
    estimate, or else AP on all classes; null turns the gate off."""
    over_baseline: float | None = 0.0
    """Percent points by which mask AP on B, or on held-out classes where B has no masks, must lie above that of the
    class-agnostic model of the same run; null turns the gate off."""
    max_seconds: float | None = None
    """The most seconds for one image, measured on the machine that registers; null sets no limit."""
    max_memory: float | None = None
    """The most gigabytes of memory, measured there too: a GPU's where there is one, else the process's; null sets no
    limit."""
    approval: bool = False
    """A person has the last word: a version that passes waits for `maskx model promote`."""

    def __post_init__(self) -> None:
        check_ranges(self, GATES)


@dataclass(frozen=True)
class RunConfig:
    """A run: its data, its model, its trainings, and the classes that have masks (A)."""

    name: str
    """The preset that it begins with: what a file leaves out is as there."""
    data: DataConfig
    """What the data is prepared to."""
    detector: DetectorConfig
    """The detector."""
    mask: MaskConfig
    """The mask branch."""
    stage1: Schedule
    """The detector's training."""
    stage2: MaskSchedule
    """The mask branch's training, on the frozen detector."""
    joint: Schedule
    """Both at once, instead of the two stages (end to end, §3.2)."""
    stage1_source: str
    """The source whose boxes train the detector; `only` is the one that the dataset has."""
    stage2_source: str
    """The source whose masks train the mask head, and on which AP is measured; end to end its boxes too;
    `only` is the one that the dataset has."""
    mask_classes: str
    """A: `voc`, `non-voc`, `coco`, `toy`, `random:N:seed`, `figure3:N:trial`, or a file with a class name per line."""
    crops: CropSchedule = NO_CROPS
    """What a new detector learns before stage 1, or before a training end to end."""
    passes: Passes = Passes()
    """Steps by the number of images."""
    seed: int = 0
    """Seed of the weights and of the order of the images."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How AP is measured in the end."""
    gates: GatesConfig = GatesConfig()
    """What makes the registered version the champion."""

    def __post_init__(self) -> None:
        for stage, schedule in (("stage1", self.stage1), ("joint", self.joint)):
            if len(schedule.learning_rates) > 1:
                raise ConfigError(
                    f"{stage}.learning_rates: only stage 2 tries several, give one, got {schedule.learning_rates}"
                )
        check_seed(self.seed)
