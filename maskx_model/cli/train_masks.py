"""`maskx train masks`."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from data_prep.arguments import Grouped, Uri, optional
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import (
    MaskClasses,
    MaskSource,
    as_preset,
    options_given,
)
from maskx_model.cli.model_options import ComputeOptions, MaskOptions
from maskx_model.cli.run_options import ConfigurationOptions, ScheduleOptions, TrackingOptions, preset_or
from maskx_model.schedules import MaskSchedule, MaskTargets, RoiKind

USED_TO_IMPORT = {"--pretrained", "--min-size"}
"""Options of the training that change what is taken over where nothing is trained."""


@dataclass(frozen=True)
class TrainingOptions:
    """The training.

    Attributes:
        rois: The boxes that the mask head trains on: the detector's `proposals`, ground-truth boxes (`gt`), or those
            moved at random by up to a tenth (`jittered`).
        targets: The masks that it is trained towards: annotated ones (`masks`), or those that GrabCut makes of the
            ground-truth boxes of all classes (`grabcut`, the paper's baseline; with --kind class_specific). Then only
            the evaluation distinguishes the mask classes.
        pretrained: Start from the mask branch of torchvision's Mask R-CNN (preset coco_r50): COCO_V1 to download its
            weights, or a .pth file of them. Its layers before the class weights begin stage 2; they were trained on the
            masks of all of COCO's classes, B's too. With --kind class_specific --mlp none --class-bias the whole branch
            is taken over and nothing is trained; the detector must come from the same weights.
        mask_weight: Weight in the loss, 0 to 1, of masks that a model made, as `maskx annotate` marks them; people's
            weigh 1.
        min_mask_score: Leave out masks that a model made and scores lower, 0 to 1.
        cache_features: Cache in this folder what the frozen detector computes of each image, and of its mirror image,
            so that it is computed in the first epoch only. The model is the same. How much it takes is told at the
            start (some 75 MB an image at 800 pixels, half of it in bf16), what it saves as soon as it is measured.
    """

    rois: Annotated[RoiKind | None, as_preset(RoiKind, "stage2.rois")] = None
    targets: Annotated[MaskTargets | None, as_preset(MaskTargets, "stage2.targets")] = None
    pretrained: Annotated[str | None, optional("COCO_V1|FILE", "new weights of the mask branch")] = None
    mask_weight: Annotated[float | None, as_preset("NUMBER", "stage2.made_mask_weight")] = None
    min_mask_score: Annotated[float | None, as_preset("SCORE", "stage2.min_mask_score")] = None
    cache_features: Annotated[str | None, optional("FOLDER", "computed at every step")] = None

    def of(self, preset: MaskSchedule) -> MaskSchedule:
        """The preset's schedule with these changes; raises ConfigError for a number out of its range."""
        given = {
            "rois": self.rois,
            "targets": self.targets,
            "made_mask_weight": self.mask_weight,
            "min_mask_score": self.min_mask_score,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(preset, **changes)


def train_masks(
    dataset: Uri,
    detector: Uri,
    out: Uri,
    *,
    preset: Annotated[str | None, preset_or("vg3000_r101")] = None,
    source: MaskSource = None,
    mask_classes: MaskClasses = None,
    configuration: Grouped[ConfigurationOptions],
    schedule: Grouped[ScheduleOptions],
    model: Grouped[MaskOptions],
    training: Grouped[TrainingOptions],
    computation: Grouped[ComputeOptions],
    tracking: Grouped[TrackingOptions],
) -> None:
    """Stage 2: learn the masks of all classes from the classes that have masks.

    The same command again resumes an interrupted training from its last checkpoint.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        detector: The folder of stage 1.
        out: Folder for the trained model, its checkpoints and its curves.
        preset: The configuration to train.
        source: The source whose masks to train on, by its name in the dataset.
        mask_classes: The classes whose masks training may use: `coco` (all that have some), `voc`, `non-voc`,
            `random:N:SEED`, `figure3:N:TRIAL` (the paper's random splits: N 20 to 60, TRIAL 1 to 5), `toy` (the
            generated world's), or the path of a text file with a class name per line.

    Example:
        maskx train masks --dataset dataset --detector detector --out masks --preset coco_r50 --mask-classes voc
    """
    from maskx_model.training.stages import train_masks as run

    chosen = schedule.applied_to(configuration.of(preset, "vg3000_r101"), "stage2")
    stage2 = replace(training.of(chosen.stage2), compute=computation.of(chosen.stage2.compute))
    mask = model.mask_config(chosen.mask)
    chosen = replace(chosen, mask=mask, stage2=stage2, stage2_source=source or chosen.stage2_source)
    features = None
    if training.pretrained is not None:
        from maskx_model.training.pretrained import import_masks, pretrained_features

        if mask.kind == "class_specific":
            refuse_training_options(source, mask_classes, training, schedule, computation, tracking)
            import_masks(dataset, detector, training.pretrained, out, chosen)
            return
        features = pretrained_features(training.pretrained, chosen)
    options: dict[str, Any] = {"mask_classes": mask_classes, "embedding": model.embedding}
    given = {**options, "detector": detector, "pretrained": training.pretrained}
    with tracking.followed("stage2", dataset, out, chosen, given, computation.dry_run) as observers:
        run(
            dataset,
            detector,
            out,
            chosen,
            **options,
            features=features,
            device=computation.device,
            observers=observers,
            rehearsal=computation.dry_run,
            cache_features=training.cache_features,
        )


def refuse_training_options(
    source: str | None,
    mask_classes: str | None,
    *groups: TrainingOptions | ScheduleOptions | ComputeOptions | TrackingOptions,
) -> None:
    """Raise ConfigError for an option of the training where weights are taken over and nothing is trained."""
    given = options_given(*groups, source=source, mask_classes=mask_classes)
    if unused := [option for option in given if option not in USED_TO_IMPORT]:
        raise ConfigError(
            f"{unused[0]}: --pretrained with kind class_specific brings all of COCO's classes with "
            "what their masks taught, and trains nothing; leave one of the two out"
        )
