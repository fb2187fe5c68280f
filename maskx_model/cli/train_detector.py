"""`maskx train detector`."""

from dataclasses import dataclass, replace
from typing import Annotated

from data_prep.arguments import Grouped, Number, Uri, optional
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import DetectorOptions, PresetName, as_preset, with_learning_rate
from maskx_model.cli.model_options import ComputeOptions
from maskx_model.presets import get_preset


@dataclass(frozen=True)
class TrainingOptions:
    """The training.

    Attributes:
        learning_rate: The highest learning rate, after the warm-up.
        seed: Seed of the weights and of the order of the images.
        pretrained: Start from torchvision's Faster or Mask R-CNN (preset coco_r50): COCO_V1 to download its weights, or
            a .pth file of them. A dataset of COCO's classes alone takes them unchanged and trains nothing. With other
            classes among them, COCO's start from their rows and the others from new ones, and training follows.
    """

    learning_rate: Annotated[float | None, as_preset("NUMBER", "stage1.learning_rates")] = None
    seed: Number = 0
    pretrained: Annotated[str | None, optional("COCO_V1|FILE", "ImageNet weights of the backbone only")] = None


def train_detector(
    dataset: Uri,
    out: Uri,
    *,
    preset: PresetName = "vg3000_r101",
    source: Annotated[str | None, as_preset("NAME", "stage1_source")] = None,
    model: Grouped[DetectorOptions],
    training: Grouped[TrainingOptions],
    computation: Grouped[ComputeOptions],
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

    chosen = model.applied_to(get_preset(preset))
    schedule = with_learning_rate(chosen.stage1, training.learning_rate)
    schedule = replace(schedule, compute=computation.of(schedule.compute))
    chosen = replace(chosen, stage1=schedule, stage1_source=source or chosen.stage1_source)
    if training.pretrained is None:
        run(dataset, out, chosen, seed=training.seed)
    elif model.weights is not None:
        raise ConfigError("--pretrained and --weights: two things to begin with; name one")
    else:
        from maskx_model.training.pretrained import import_detector

        import_detector(dataset, training.pretrained, out, chosen, seed=training.seed)
