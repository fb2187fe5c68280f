"""`maskx train`, `evaluate`, `predict` and `model`: thin functions over the library.

tyro makes the command line from the signatures and its help from the docstrings. Libraries are imported where they are
used, so that `--help` starts at once.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

Uri = Annotated[str, arg(metavar="URI")]


def detector(
    dataset: Uri,
    out: Uri,
    *,
    preset: str = "vg3000_r101",
    source: str | None = None,
    seed: int = 0,
    pretrained: str | None = None,
) -> None:
    """Stage 1: train a detector on the boxes of all classes, or take the one that torchvision has trained on COCO.

    An interrupted training goes on from its last checkpoint when the same command is given again.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        out: Folder for the trained detector, its checkpoints and its curves.
        preset: Which configuration to train: toy, real_sample, coco_r50 or vg3000_r101.
        source: Whose boxes to train on, by the name it was prepared under. By default what the preset says.
        seed: Seed of the weights and of the order of the photographs.
        pretrained: Train nothing, start from torchvision's Faster R-CNN (preset coco_r50, a dataset of COCO alone):
            COCO_V1 to download its weights, or a .pth file of them.
    """
    from maskx_model.presets import get_preset
    from maskx_model.stages import import_detector, train_detector

    chosen = get_preset(preset)
    if pretrained is not None:
        import_detector(dataset, pretrained, out, chosen)
        return
    train_detector(dataset, out, replace(chosen, stage1_source=source or chosen.stage1_source), seed=seed)


def masks(
    dataset: Uri,
    detector: Uri,
    out: Uri,
    *,
    preset: str = "vg3000_r101",
    source: str | None = None,
    mask_classes: str | None = None,
    kind: Literal["transfer", "class_agnostic"] = "transfer",
    seed: int = 0,
) -> None:
    """Stage 2: learn the masks of all classes from the classes that have masks.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        detector: The folder of stage 1.
        out: Folder for the trained model, its checkpoints and its curves.
        preset: Which configuration to train: toy, real_sample, coco_r50 or vg3000_r101.
        source: Whose masks to train on, by the name it was prepared under. By default what the preset says.
        mask_classes: The classes whose masks training may see: `coco`, `voc`, `non-voc`, `random:N:SEED`, or the path
            of a text file with a class name per line. By default what the preset says.
        kind: `transfer` predicts a class's mask weights from its box weights; `class_agnostic` is the baseline.
        seed: Seed of the weights and of the order of the photographs.
    """
    from maskx_model.presets import get_preset
    from maskx_model.stages import train_masks

    chosen = get_preset(preset)
    chosen = replace(chosen, stage2_source=source or chosen.stage2_source)
    train_masks(dataset, detector, out, chosen, kind=kind, mask_classes=mask_classes, seed=seed)


def evaluate(
    model: Uri,
    dataset: Uri,
    out: Uri,
    *,
    baseline: str | None = None,
    split: str = "val",
    source: str = "coco",
    max_images: int | None = None,
) -> None:
    """Measure AP of boxes and masks on A (classes with masks in training), on B (without) and on all; write a report.

    Args:
        model: The folder of a trained model.
        dataset: A prepared dataset with a validation split.
        out: Folder for metrics.json, report.html and the predictions in COCO's results format.
        baseline: The folder of a class-agnostic model to compare with.
        split: The photographs to measure on.
        source: The source whose annotations are taken for the truth.
        max_images: Stop after this many photographs, for a first look.
    """
    from maskx_model.evaluation import evaluate as run

    run(model, dataset, out, baseline=baseline, split=split, source=source, max_images=max_images)


def predict(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="INPUT …")],
    out: Path,
    min_score: float = 0.5,
    tracking_uri: str | None = None,
) -> None:
    """Find and segment the objects of photographs: overlay pictures, and results in COCO's format.

    Args:
        model: The folder of a trained model, or a registered one such as models:/maskx@champion.
        inputs: JPEG and PNG files, and folders of them.
        out: Folder for the overlays and results.json.
        min_score: Draw the objects of which the model is at least this sure (0 to 1); results.json lists all.
        tracking_uri: MLflow's server for a registered model; by default a file, mlflow.db, in the working folder.
    """
    from maskx_model.batch_prediction import predict_files

    count = predict_files(model, inputs, out, min_score=min_score, tracking_uri=tracking_uri)
    print(f"{count} photographs segmented: pictures and results.json are in {out}")


def register(
    model: Uri,
    evaluation: Uri,
    *,
    stages: Annotated[tuple[str, ...], arg(metavar="URI …")] = (),
    dataset: str | None = None,
    preset: str | None = None,
    name: str = "maskx",
    tracking_uri: str | None = None,
) -> None:
    """Register a trained model with its numbers; it becomes the champion if it is at least as good on B.

    Args:
        model: The folder of a trained model.
        evaluation: The folder that `maskx evaluate` wrote for it.
        stages: Folders of other trainings, such as the detector's, whose curves belong to it.
        dataset: The dataset it was made from.
        preset: The preset it was trained with, to log its settings.
        name: The name in the model registry.
        tracking_uri: MLflow's tracking server; by default a file, mlflow.db, in the working folder.
    """
    from maskx_model.registry import register as run

    print(run(model, evaluation, name, tracking_uri, stages=stages, dataset=dataset, preset=preset))


def promote(
    version: Annotated[Positional[str], arg(metavar="VERSION")], name: str = "maskx", tracking_uri: str | None = None
) -> None:
    """Make a registered version the champion, whatever its numbers.

    Args:
        version: The version's number, or its alias.
        name: The name in the model registry.
        tracking_uri: MLflow's tracking server; by default a file, mlflow.db, in the working folder.
    """
    from maskx_model.registry import promote as run

    print(run(name, version, tracking_uri))


COMMANDS: dict[str, Callable[..., Any] | dict[str, Callable[..., Any]]] = {
    "train": {"detector": detector, "masks": masks},
    "evaluate": evaluate,
    "predict": predict,
    "model": {"register": register, "promote": promote},
}
