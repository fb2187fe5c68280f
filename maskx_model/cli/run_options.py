"""The command line's options for a run's configuration: the whole of it by file and field, and what people change
first."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from data_prep.arguments import optional
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import Overrides, preset_names
from maskx_model.configure.batch import Stage, with_linear_rule
from maskx_model.configure.changes import Change, changed
from maskx_model.configure.choose import choose
from maskx_model.run_config import RunConfig

if TYPE_CHECKING:
    from maskx_model.training.metric_sink import Observers

AS_CONFIGURED = "(as the preset says)"


def preset_or(default: str) -> Any:
    """Annotate `--preset` of a command that has this preset by default."""
    return optional(preset_names(), f"that of --config, else {default}")


@dataclass(frozen=True)
class ConfigurationOptions:
    """The configuration. --set overrides the file, and the other options override --set.

    Attributes:
        config: A configuration as YAML, on disk or in object storage. `maskx config show` writes one to edit; fields
            that it omits have the values of the preset that its `name` names.
        overrides: Change any field of the configuration, such as stage1.steps=20000. Repeat it for more.
    """

    config: Annotated[str | None, optional("FILE|URI", "the preset alone")] = None
    overrides: Overrides = ()

    def of(self, preset: str | None, default: str | None = None) -> RunConfig:
        """The configuration that these options and `--preset` ask for; raises ConfigError or DataError."""
        return choose(preset, self.config, self.overrides, default)


@dataclass(frozen=True)
class TrackingOptions:
    """MLflow, which shows the training while it runs.

    Attributes:
        tracking_uri: MLflow's tracking server, or a database such as sqlite:///mlflow.db. Trainings whose folders lie
            in one folder have a common parent run. What a server that is down does not take is sent later.
        experiment: The experiment that the runs belong to.
    """

    tracking_uri: Annotated[str | None, optional("URI", "MLFLOW_TRACKING_URI, else nothing is sent")] = None
    experiment: Annotated[str, arg(metavar="NAME")] = "maskx"

    def followed(
        self,
        stage: Stage,
        dataset: str,
        out: str,
        run: RunConfig,
        options: Mapping[str, str | None],
        dry_run: bool,
    ) -> AbstractContextManager["Observers"]:
        """Who follows that training (`maskx_model.registry.live_training.followed`); nobody follows a dry run."""
        from maskx_model.registry.live_training import FollowedTraining, followed
        from maskx_model.training.metric_sink import NOBODY

        if dry_run:
            return nullcontext(NOBODY)
        return followed(FollowedTraining(stage, dataset, out, run, options), self.tracking_uri, self.experiment)


@dataclass(frozen=True)
class ScheduleOptions:
    """What people change first.

    Attributes:
        steps: Number of steps; the preset's milestones move with it.
        images_per_batch: Images of one step. The learning rate stays; what the linear rule would make of it is logged.
        learning_rate: The highest learning rate, after the warm-up. Where a preset tries several for the masks, the
            one that is best on images held out of training is chosen.
        scale_learning_rate: Multiply the preset's learning rate by the batch over the preset's batch (linear rule).
        min_size: Shorter side of the scaled image in pixels; the limit of the longer side moves with it. Masks need the
            detector's.
        seed: Seed of the weights and of the order of the images.
    """

    steps: Annotated[int | None, arg(metavar="N", help_behavior_hint=AS_CONFIGURED)] = None
    images_per_batch: Annotated[int | None, arg(metavar="N", help_behavior_hint=AS_CONFIGURED)] = None
    learning_rate: Annotated[float | None, arg(metavar="NUMBER", help_behavior_hint=AS_CONFIGURED)] = None
    scale_learning_rate: bool = False
    min_size: Annotated[int | None, arg(metavar="PIXELS", help_behavior_hint=AS_CONFIGURED)] = None
    seed: Annotated[int | None, arg(metavar="N", help_behavior_hint=AS_CONFIGURED)] = None

    def applied_to(self, run: RunConfig, stage: Stage) -> RunConfig:
        """The run with these options for one of its stages.

        Raises:
            ConfigError: a number out of its range, or options that do not go together.
        """
        given = {
            "--steps": (self.steps, f"{stage}.steps"),
            "--images-per-batch": (self.images_per_batch, f"{stage}.images_per_batch"),
            "--learning-rate": (self.learning_rate, f"{stage}.learning_rates"),
            "--min-size": (self.min_size, "detector.min_size"),
            "--seed": (self.seed, "seed"),
        }
        changes = [
            Change(path, str(value), f"{option} {value}")
            for option, (value, path) in given.items()
            if value is not None
        ]
        if self.min_size is not None:
            longer = round(run.detector.max_size * self.min_size / run.detector.min_size)
            changes.append(Change("detector.max_size", str(longer), f"--min-size {self.min_size}"))
        if self.scale_learning_rate and self.learning_rate is not None:
            raise ConfigError("--learning-rate and --scale-learning-rate: two learning rates; name one")
        run = changed(run, changes)
        return with_linear_rule(run, stage) if self.scale_learning_rate else run
