"""`maskx train detector`."""

from dataclasses import dataclass, replace
from typing import Annotated

from data_prep.arguments import Grouped, Uri, optional
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import DetectorOptions, as_preset, options_given
from maskx_model.cli.model_options import ComputeOptions
from maskx_model.cli.run_options import ConfigurationOptions, ScheduleOptions, TrackingOptions, preset_or

USED_TO_TAKE_OVER = {"--min-size"}
"""Options of the training that change what is taken over where nothing is trained."""


@dataclass(frozen=True)
class StartOptions:
    """The weights to begin with.

    Attributes:
        pretrained: Start from torchvision's Faster or Mask R-CNN (preset coco_r50): COCO_V1 to download its weights, or
            a .pth file of them. A dataset of COCO's classes alone takes them unchanged and trains nothing. With other
            classes among them, COCO's start from their rows and the others from new ones, and training follows.
    """

    pretrained: Annotated[str | None, optional("COCO_V1|FILE", "ImageNet weights of the backbone only")] = None


def train_detector(
    dataset: Uri,
    out: Uri,
    *,
    preset: Annotated[str | None, preset_or("vg3000_r101")] = None,
    source: Annotated[str | None, as_preset("NAME", "stage1_source")] = None,
    configuration: Grouped[ConfigurationOptions],
    schedule: Grouped[ScheduleOptions],
    model: Grouped[DetectorOptions],
    start: Grouped[StartOptions],
    computation: Grouped[ComputeOptions],
    tracking: Grouped[TrackingOptions],
) -> None:
    """Stage 1: train a detector on the boxes of all classes, or take over torchvision's, trained on COCO.

    The same command again resumes an interrupted training from its last checkpoint.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        out: Folder for the trained detector, its checkpoints and its curves.
        preset: The configuration to train.
        source: The source whose boxes to train on, by its name in the dataset.

    Example:
        maskx train detector --dataset dataset --out detector --preset coco_r50
    """
    from maskx_model.training.stages import train_detector as run

    chosen = model.applied_to(schedule.applied_to(configuration.of(preset, "vg3000_r101"), "stage1"))
    stage1 = replace(chosen.stage1, compute=computation.of(chosen.stage1.compute))
    chosen = replace(chosen, stage1=stage1, stage1_source=source or chosen.stage1_source)
    if start.pretrained is not None and computation.dry_run:
        raise ConfigError("--pretrained and --dry-run: leave out --pretrained, the steps cost the same without it")
    if start.pretrained is not None and model.weights is not None:
        raise ConfigError("--pretrained and --weights: two things to begin with; name one")
    if start.pretrained is not None:
        _refuse_unused(dataset, options_given(schedule, computation, tracking, source=source))
    given = {"pretrained": start.pretrained}
    with tracking.followed("stage1", dataset, out, chosen, given, computation.dry_run) as observers:
        if start.pretrained is None:
            run(dataset, out, chosen, device=computation.device, observers=observers, rehearsal=computation.dry_run)
            return
        from maskx_model.training.pretrained import import_detector

        import_detector(dataset, start.pretrained, out, chosen, device=computation.device, observers=observers)


def _refuse_unused(dataset: str, given: list[str]) -> None:
    """Raise ConfigError for an option of the training where the dataset's classes leave nothing to train."""
    from maskx_model.training.pretrained import is_taken_over

    unused = [option for option in given if option not in USED_TO_TAKE_OVER]
    if unused and is_taken_over(dataset):
        raise ConfigError(
            f"{unused[0]}: all classes of {dataset} are COCO's, so --pretrained takes torchvision's detector over as "
            "it is and trains nothing; leave out one of the two: without --pretrained, training begins with ImageNet "
            "weights"
        )
