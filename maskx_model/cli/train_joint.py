"""`maskx train joint`."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from data_prep.arguments import Grouped, Uri, optional
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import (
    DetectorOptions,
    MaskClasses,
    MaskSource,
)
from maskx_model.cli.model_options import ComputeOptions, MaskOptions
from maskx_model.cli.run_options import ConfigurationOptions, ScheduleOptions, TrackingOptions, preset_or


@dataclass(frozen=True)
class TrainingOptions:
    """The training.

    Attributes:
        stop_gradient: Keep the mask loss from changing the box weights of classes that have masks: it would make them
            unlike those of the other classes, whose masks then suffer (the paper's finding).
        detector: The folder of a trained detector to start from.
    """

    stop_gradient: bool = True
    detector: Annotated[str | None, optional("URI", "ImageNet weights of the backbone only")] = None


def train_joint(
    dataset: Uri,
    out: Uri,
    *,
    preset: Annotated[str | None, preset_or("coco_r50")] = None,
    source: MaskSource = None,
    mask_classes: MaskClasses = None,
    configuration: Grouped[ConfigurationOptions],
    schedule: Grouped[ScheduleOptions],
    model: Grouped[DetectorOptions],
    mask: Grouped[MaskOptions],
    training: Grouped[TrainingOptions],
    computation: Grouped[ComputeOptions],
    tracking: Grouped[TrackingOptions],
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
    chosen = model.applied_to(schedule.applied_to(configuration.of(preset, "coco_r50"), "joint"))
    config = mask.mask_config(chosen.mask)
    config = replace(config, stop_gradient=config.stop_gradient and training.stop_gradient)
    if not config.stop_gradient and (config.kind != "transfer" or config.transfer_input in {"randn", "embedding"}):
        raise ConfigError(
            "--no-stop-gradient: only of box weights (kind transfer, input cls, box or cls+box) is there one"
        )
    joint = replace(chosen.joint, compute=computation.of(chosen.joint.compute))
    chosen = replace(chosen, mask=config, joint=joint, stage2_source=source or chosen.stage2_source)
    options: dict[str, Any] = {"mask_classes": mask_classes, "embedding": mask.embedding, "detector": training.detector}
    dry = computation.dry_run
    with tracking.followed("joint", dataset, out, chosen, options, dry) as observers:
        run(dataset, out, chosen, **options, device=computation.device, observers=observers, rehearsal=dry)
