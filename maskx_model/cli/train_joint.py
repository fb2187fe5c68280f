"""`maskx train joint`."""

from dataclasses import dataclass, replace
from typing import Annotated

from data_prep.arguments import Grouped, Number, Uri, optional
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import (
    DetectorOptions,
    MaskClasses,
    MaskSource,
    PresetName,
    as_preset,
    with_learning_rate,
)
from maskx_model.cli.model_options import ComputeOptions, MaskOptions
from maskx_model.presets import get_preset


@dataclass(frozen=True)
class TrainingOptions:
    """The training.

    Attributes:
        stop_gradient: Keep the mask loss from changing the box weights of classes that have masks: it would make them
            unlike those of the other classes, whose masks then suffer (the paper's finding).
        detector: The folder of a trained detector to start from.
        learning_rate: The highest learning rate, after the warm-up.
        seed: Seed of the weights and of the order of the images.
    """

    stop_gradient: bool = True
    detector: Annotated[str | None, optional("URI", "ImageNet weights of the backbone only")] = None
    learning_rate: Annotated[float | None, as_preset("NUMBER", "joint.learning_rates")] = None
    seed: Number = 0


def train_joint(
    dataset: Uri,
    out: Uri,
    *,
    preset: PresetName = "coco_r50",
    source: MaskSource = None,
    mask_classes: MaskClasses = None,
    model: Grouped[DetectorOptions],
    mask: Grouped[MaskOptions],
    training: Grouped[TrainingOptions],
    computation: Grouped[ComputeOptions],
) -> None:
    """End to end, instead of the two stages: learn boxes and masks of all classes at once.

    The same command again resumes an interrupted training from its last checkpoint.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        out: Folder for the trained model, its checkpoints and its curves.
        preset: The configuration to train.
        source: The source whose boxes and masks to train on, by its name in the dataset.
        mask_classes: The classes whose masks training may use, as `maskx train masks` takes them.

    Example:
        maskx train joint --dataset dataset --out model --preset coco_r50 --mask-classes voc
    """
    from maskx_model.training.stages import train_joint as run

    if training.detector is not None and model.weights is not None:
        raise ConfigError("--detector and --weights: two things to begin with; name one")
    chosen = model.applied_to(get_preset(preset))
    config = replace(mask.mask_config(chosen.mask), stop_gradient=training.stop_gradient)
    if not training.stop_gradient and (mask.kind != "transfer" or config.transfer_input in {"randn", "embedding"}):
        raise ConfigError(
            "--no-stop-gradient: only of box weights (kind transfer, input cls, box or cls+box) is there one"
        )
    schedule = with_learning_rate(chosen.joint, training.learning_rate)
    schedule = replace(schedule, compute=computation.of(schedule.compute))
    run(
        dataset,
        out,
        replace(chosen, mask=config, joint=schedule, stage2_source=source or chosen.stage2_source),
        kind=mask.kind,
        mask_classes=mask_classes,
        embedding=mask.embedding,
        detector=training.detector,
        seed=training.seed,
    )
