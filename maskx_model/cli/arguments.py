"""The options that several commands share, in the groups in which the help shows them."""

from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Annotated, Any, TypeVar

from tyro.conf import UseAppendAction, arg

from data_prep.arguments import BeamOptions, Number, Runner, named, optional
from data_prep.beam.engine import Engine
from data_prep.storage.errors import ConfigError
from maskx_model.config import ClassificationLossKind
from maskx_model.presets import PRESETS
from maskx_model.run_config import RunConfig
from maskx_model.schedules import Schedule

Scheduled = TypeVar("Scheduled", bound=Schedule)


def as_preset(metavar: Any, *fields: str) -> Any:
    """Annotate an option whose default stands in the preset; the help names the value where all presets agree.

    Args:
        metavar: What the value is called in the help, or the Literal of all values.
        fields: Paths in the preset, such as "stage1.learning_rates".
    """
    values = {str(attrgetter(field)(make())) for make in PRESETS.values() for field in fields}
    hint = f"(as the preset says: {values.pop()})" if len(values) == 1 else "(as the preset says)"
    return arg(metavar=named(metavar), help_behavior_hint=hint)


def preset_names() -> str:
    """All presets, as a metavar."""
    return "{" + ",".join(PRESETS) + "}"


Overrides = Annotated[
    UseAppendAction[tuple[str, ...]],
    arg(name="set", metavar="FIELD=VALUE", help_behavior_hint="(default: nothing is changed)"),
]
ClassificationLoss = Annotated[
    ClassificationLossKind | None, as_preset(ClassificationLossKind, "detector.classification_loss")
]
LossClasses = Annotated[int | None, as_preset("N", "detector.loss_classes")]
MaskClasses = Annotated[str | None, as_preset("CLASSES", "mask_classes")]
BackboneWeights = Annotated[str | None, as_preset("FILE|NAME|none", "detector.weights")]
MaskSource = Annotated[str | None, as_preset("NAME", "stage2_source")]
MaskLearningRate = Annotated[float | None, as_preset("NUMBER", "stage2.learning_rates")]
TrackingUri = Annotated[str | None, optional("URI", "a file, mlflow.db, in the working folder")]


@dataclass(frozen=True)
class DetectorOptions:
    """The detector.

    Attributes:
        classification_loss: The classes that each RoI is classified among. `softmax`: all of them. `sampled`: the
            batch's and some drawn by frequency. `federated`: in each image, those annotated there or listed as
            absent (LVIS); where a source lists no absent classes (Visual Genome), some are drawn instead.
        loss_classes: Number of classes that `sampled` and `federated` draw.
        weights: ImageNet weights of the backbone instead of the preset's: a .pth file, one of torchvision's names,
            or `none` for random ones. With a file or `none`, nothing is downloaded.
    """

    classification_loss: ClassificationLoss = None
    loss_classes: LossClasses = None
    weights: BackboneWeights = None

    def applied_to(self, preset: RunConfig) -> RunConfig:
        """The preset with these options; raises ConfigError for options that do not go together."""
        return with_weights(with_classification(preset, self.classification_loss, self.loss_classes), self.weights)


@dataclass(frozen=True)
class EngineOptions:
    """Where the work is done. The output is the same in every case.

    Attributes:
        workers: Number of worker processes on this machine.
        runner: Another engine than this machine, by Apache Beam's name: FlinkRunner, SparkRunner, DataflowRunner, …
        beam: Option of Apache Beam or of the runner, passed on unchanged; a switch is KEY alone. Repeat it for more.
    """

    workers: Number = 1
    runner: Runner = None
    beam: BeamOptions = ()

    @property
    def engine(self) -> Engine:
        """The same for the library; raises ConfigError for options that exclude one another."""
        return Engine(self.runner, self.beam, self.workers)


@dataclass(frozen=True)
class RegistryOptions:
    """The model registry.

    Attributes:
        name: The model's name in the registry.
        tracking_uri: MLflow's tracking server.
    """

    name: Annotated[str, arg(metavar="NAME")] = "maskx"
    tracking_uri: TrackingUri = None


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured.

    Attributes:
        split: The split whose images are measured.
        max_images: Maximum number of images, for a first look. With few of them AP is too high and varies by chance.
    """

    split: Annotated[str, arg(metavar="NAME")] = "val"
    max_images: Annotated[int | None, optional("N", "all images of the split")] = None


def options_given(*groups: Any, **others: object) -> list[str]:
    """The options of these groups that are not at their defaults, and those of the others that are not None; each as it
    is written: `--min-size`."""
    given = [name for name, value in others.items() if value is not None]
    given += [each.name for group in groups for each in fields(group) if getattr(group, each.name) != each.default]
    return [f"--{name.replace('_', '-')}" for name in given]


def with_weights(preset: RunConfig, weights: str | None) -> RunConfig:
    """The preset with the backbone weights that `--weights` names; raises ConfigError if its backbone takes none."""
    if weights is None:
        return preset
    if preset.detector.backbone == "slim" and weights != "none":
        raise ConfigError(f"--weights: preset {preset.name} has a small backbone of its own; there are none for it")
    return replace(preset, detector=replace(preset.detector, weights=None if weights == "none" else weights))


def with_learning_rate(schedule: Scheduled, learning_rate: float | None) -> Scheduled:
    """The schedule with the learning rate that `--learning-rate` gives."""
    return schedule if learning_rate is None else replace(schedule, learning_rates=(learning_rate,))


def with_classification(preset: RunConfig, loss: ClassificationLossKind | None, classes: int | None) -> RunConfig:
    """The preset with what `--classification-loss` and `--loss-classes` give.

    Raises:
        ConfigError: the number of drawn classes is given for a loss that draws none.
    """
    detector = preset.detector
    loss = loss or detector.classification_loss
    if classes is None:
        classes = detector.loss_classes
    elif loss == "softmax":
        raise ConfigError("--loss-classes: loss softmax draws none; name --classification-loss sampled or federated")
    return replace(preset, detector=replace(detector, classification_loss=loss, loss_classes=classes))
