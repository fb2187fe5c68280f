"""`maskx train`, `evaluate`, `predict` and `model`: thin functions over the library.

tyro makes the command line from the signatures and its help from the docstrings. Libraries are imported where they are
used, so that `--help` starts at once.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from tyro.conf import Positional, arg

from data_prep.storage.errors import ConfigError
from maskx_model.cli.options import AS_PRESET, COMPUTE_AS_PRESET, ComputeOptions, MaskOptions
from maskx_model.config import PLAIN, ClassificationLossKind, Compute, Schedule

if TYPE_CHECKING:
    from maskx_model.presets import Preset

Uri = Annotated[str, arg(metavar="URI")]
Trained = TypeVar("Trained", bound=Schedule)


def detector(
    dataset: Uri,
    out: Uri,
    *,
    preset: str = "vg3000_r101",
    source: str | None = None,
    seed: int = 0,
    pretrained: str | None = None,
    weights: str | None = None,
    classification_loss: ClassificationLossKind | None = None,
    loss_classes: int | None = None,
    learning_rate: float | None = None,
    compute: Annotated[ComputeOptions, arg(name="")] = COMPUTE_AS_PRESET,
) -> None:
    """Stage 1: train a detector on the boxes of all classes, or take the one that torchvision has trained on COCO.

    An interrupted training goes on from its last checkpoint when the same command is given again.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        out: Folder for the trained detector, its checkpoints and its curves.
        preset: Which configuration to train: toy, real_sample, coco_r50 or vg3000_r101.
        source: Whose boxes to train on, by the name it was prepared under. By default what the preset says.
        seed: Seed of the weights and of the order of the images.
        pretrained: Start from torchvision's Faster or Mask R-CNN (preset coco_r50): COCO_V1 to download its weights, or
            a .pth file of them. A dataset of COCO's classes alone takes them as they are and trains nothing; with
            others among them, COCO's begin with their rows, the others with new ones, and training goes on.
        weights: ImageNet weights of the backbone instead of the preset's: a .pth file, one of torchvision's names, or
            `none` for random ones. With a file or `none`, nothing is downloaded.
        classification_loss: Classes that each RoI is told from: all (`softmax`, the presets'); the batch's and some
            drawn by frequency (`sampled`); or, in each image, those that are annotated or known to be absent there
            (`federated`, for LVIS; where the source does not list absent ones, as Visual Genome, drawn ones).
        loss_classes: How many classes are drawn; 50 in the presets.
        learning_rate: The highest, after the warm-up.
        compute: How it is computed.
    """
    from maskx_model.presets import get_preset
    from maskx_model.training.stages import train_detector

    chosen = with_classification(get_preset(preset), classification_loss, loss_classes)
    stage1 = replace(with_rate(chosen.stage1, learning_rate), compute=compute.of(chosen.stage1.compute))
    chosen = replace(chosen, stage1=stage1, stage1_source=source or chosen.stage1_source)
    if pretrained is not None:
        if weights is not None:
            raise ConfigError("--pretrained and --weights: two things to begin with; name one")
        from maskx_model.training.pretrained import import_detector

        import_detector(dataset, pretrained, out, chosen, seed=seed)
        return
    train_detector(dataset, out, with_weights(chosen, weights), seed=seed)


def with_weights(preset: "Preset", weights: str | None) -> "Preset":
    """The preset with what `--weights` says of its backbone."""
    if weights is None:
        return preset
    if preset.detector.backbone == "slim" and weights != "none":
        raise ConfigError(f"--weights: preset {preset.name} has a small backbone of its own; there are none for it")
    return replace(preset, detector=replace(preset.detector, weights=None if weights == "none" else weights))


def with_rate(schedule: Trained, rate: float | None) -> Trained:
    """The schedule with what `--learning-rate` says."""
    return schedule if rate is None else replace(schedule, learning_rates=(rate,))


def with_classification(preset: "Preset", loss: ClassificationLossKind | None, classes: int | None) -> "Preset":
    """The preset with what `--classification-loss` and `--loss-classes` say."""
    detector = preset.detector
    loss = loss or detector.classification_loss
    if classes is None:
        classes = detector.loss_classes
    elif loss == "softmax":
        raise ConfigError("--loss-classes: loss softmax draws none; name --classification-loss sampled or federated")
    return replace(preset, detector=replace(detector, classification_loss=loss, loss_classes=classes))


def masks(
    dataset: Uri,
    detector: Uri,
    out: Uri,
    *,
    preset: str = "vg3000_r101",
    source: str | None = None,
    mask_classes: str | None = None,
    rois: Literal["proposals", "gt", "jittered"] | None = None,
    targets: Literal["masks", "grabcut"] | None = None,
    pretrained: str | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    branch: Annotated[MaskOptions, arg(name="")] = AS_PRESET,
    compute: Annotated[ComputeOptions, arg(name="")] = COMPUTE_AS_PRESET,
) -> None:
    """Stage 2: learn the masks of all classes from the classes that have masks.

    What is not given, and None by default, is as the preset says.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        detector: The folder of stage 1.
        out: Folder for the trained model, its checkpoints and its curves.
        preset: Which configuration to train: toy, real_sample, coco_r50 or vg3000_r101.
        source: Whose masks to train on, by the name it was prepared under.
        mask_classes: The classes whose masks training may see: `coco`, `voc`, `non-voc`, `random:N:SEED`,
            `figure3:N:TRIAL` (the paper's random splits: N 20 to 60, TRIAL 1 to 5), or the path of a text file with a
            class name per line.
        rois: The boxes that the mask head trains on: what the detector finds (`proposals`, the paper's), ground-truth
            boxes (`gt`), or those moved at random by up to a tenth (`jittered`).
        targets: The masks that it is trained towards: annotated ones, or those that GrabCut makes of the ground-truth
            boxes of all classes (`grabcut`, the paper's baseline; with --kind class_specific). The mask classes are
            then only told apart in the evaluation.
        pretrained: Start from the mask branch of torchvision's Mask R-CNN (preset coco_r50): COCO_V1 to download its
            weights, or a .pth file of them. Its layers before the class weights begin stage 2; they have seen the
            masks of all of COCO's classes, B's too. With --kind class_specific --mlp none --class-bias the whole of
            it is taken and nothing trained; the detector must come from the same weights.
        learning_rate: The highest, after the warm-up. Presets that try several keep what is best on images that
            are held back.
        seed: Seed of the weights and of the order of the images.
        branch: The mask branch.
        compute: How it is computed.
    """
    from maskx_model.presets import get_preset
    from maskx_model.training.stages import train_masks

    chosen = get_preset(preset)
    schedule = replace(
        with_rate(chosen.stage2, learning_rate),
        rois=rois or chosen.stage2.rois,
        targets=targets or chosen.stage2.targets,
        compute=compute.of(chosen.stage2.compute),
    )
    chosen = replace(
        chosen,
        mask=branch.mask_config(chosen.mask),
        stage2_source=source or chosen.stage2_source,
        stage2=schedule,
    )
    features = None
    if pretrained is not None:
        from maskx_model.training.pretrained import import_masks, pretrained_features

        if branch.kind == "class_specific":
            trains = {
                "--mask-classes": mask_classes,
                "--rois": rois,
                "--targets": targets,
                "--learning-rate": learning_rate,
            }
            if asked := [name for name, value in trains.items() if value is not None]:
                raise ConfigError(
                    f"{asked[0]}: --pretrained with kind class_specific brings all of COCO's classes with what their "
                    "masks taught, and trains nothing; leave one of the two out"
                )
            import_masks(dataset, detector, pretrained, out, chosen)
            return
        features = pretrained_features(pretrained, chosen)
    train_masks(
        dataset,
        detector,
        out,
        chosen,
        kind=branch.kind,
        mask_classes=mask_classes,
        embedding=branch.embedding,
        features=features,
        seed=seed,
    )


def joint(
    dataset: Uri,
    out: Uri,
    *,
    preset: str = "coco_r50",
    source: str | None = None,
    mask_classes: str | None = None,
    stop_gradient: bool = True,
    detector: str | None = None,
    weights: str | None = None,
    classification_loss: ClassificationLossKind | None = None,
    loss_classes: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    branch: Annotated[MaskOptions, arg(name="")] = AS_PRESET,
    compute: Annotated[ComputeOptions, arg(name="")] = COMPUTE_AS_PRESET,
) -> None:
    """End to end, instead of the two stages: learn boxes and masks of all classes at once.

    What is not given, and None by default, is as the preset says. An interrupted training goes on from its last
    checkpoint when the same command is given again.

    Args:
        dataset: A prepared dataset (`maskx data prepare` writes one).
        out: Folder for the trained model, its checkpoints and its curves.
        preset: Which configuration to train: toy, real_sample, coco_r50 or vg3000_r101.
        source: Whose boxes and masks to train on, by the name it was prepared under.
        mask_classes: The classes whose masks training may see, as `maskx train masks` takes them.
        stop_gradient: Keep the mask loss from changing the box weights of classes that have masks: it would make them
            unlike those of the other classes, whose masks then suffer (the paper's finding).
        detector: The folder of a trained detector to begin with. By default ImageNet weights.
        weights: ImageNet weights of the backbone instead of the preset's: a .pth file, one of torchvision's names, or
            `none` for random ones. With a file or `none`, nothing is downloaded.
        classification_loss: As in `maskx train detector`.
        loss_classes: As in `maskx train detector`.
        learning_rate: The highest, after the warm-up.
        seed: Seed of the weights and of the order of the images.
        branch: The mask branch.
        compute: How it is computed.
    """
    from maskx_model.presets import get_preset
    from maskx_model.training.stages import train_joint

    if detector is not None and weights is not None:
        raise ConfigError("--detector and --weights: two things to begin with; name one")
    chosen = with_classification(get_preset(preset), classification_loss, loss_classes)
    mask = replace(branch.mask_config(chosen.mask), stop_gradient=stop_gradient)
    if not stop_gradient and (branch.kind != "transfer" or mask.transfer_input in {"randn", "embedding"}):
        raise ConfigError(
            "--no-stop-gradient: only of box weights (kind transfer, input cls, box or cls+box) is there one"
        )
    schedule = replace(with_rate(chosen.joint, learning_rate), compute=compute.of(chosen.joint.compute))
    chosen = replace(chosen, mask=mask, joint=schedule, stage2_source=source or chosen.stage2_source)
    train_joint(
        dataset,
        out,
        with_weights(chosen, weights),
        kind=branch.kind,
        mask_classes=mask_classes,
        embedding=branch.embedding,
        detector=detector,
        seed=seed,
    )


def evaluate(
    model: Uri,
    dataset: Uri,
    out: Uri,
    *,
    baseline: str | None = None,
    split: str = "val",
    source: str = "coco",
    protocol: Literal["coco", "lvis"] = "coco",
    masks: Literal["model", "grabcut"] = "model",
    max_images: int | None = None,
    compute: Annotated[Compute, arg(name="")] = PLAIN,
) -> None:
    """Measure AP of boxes and masks on A (classes with masks in training), on B (without) and on all; write a report.

    Args:
        model: The folder of a trained model; where the source has no masks only boxes are measured, and a detector's
            folder will do.
        dataset: A prepared dataset with a validation split.
        out: Folder for metrics.json, per_class.csv, report.html and the predictions in COCO's results format.
        baseline: The folder of a class-agnostic model to compare with.
        split: The images to measure on.
        source: The source whose annotations are taken for the truth.
        protocol: `coco` measures the classes that the source annotates exhaustively. `lvis` measures all that it
            annotates, each in those images alone where it is annotated or known to be absent, on 300 detections a
            image, and tells AP of rare, common and frequent classes too: for LVIS and Visual Genome.
        masks: Where masks come from: the `model`, or `grabcut`, which segments its boxes by colour without learning
            (a detector's folder will do; it knows of no classes with masks, so that all are B). The paper's baseline.
        max_images: Stop after this many images, for a first look.
        compute: How it is computed.
    """
    from maskx_model.report.evaluate import evaluate as run

    run(
        model,
        dataset,
        out,
        baseline=baseline,
        split=split,
        source=source,
        max_images=max_images,
        protocol=protocol,
        masks=masks,
        compute=compute,
    )


def predict(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="INPUT …")],
    out: Path,
    min_score: float = 0.5,
    tracking_uri: str | None = None,
    compute: Annotated[Compute, arg(name="")] = PLAIN,
) -> None:
    """Find and segment the objects of images: overlay pictures, and results in COCO's format.

    Args:
        model: The folder of a trained model, or a registered one such as models:/maskx@champion.
        inputs: JPEG and PNG files, and folders of them.
        out: Folder for the overlays and results.json.
        min_score: Draw the objects of which the model is at least this sure (0 to 1); results.json lists all.
        tracking_uri: MLflow's server for a registered model; by default a file, mlflow.db, in the working folder.
        compute: How it is computed.
    """
    from maskx_model.inference.predict_files import predict_files

    count = predict_files(model, inputs, out, min_score=min_score, tracking_uri=tracking_uri, compute=compute)
    print(f"{count} images segmented: pictures and results.json are in {out}")


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
    from maskx_model.registry.registry import register as run

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
    from maskx_model.registry.promotion import promote as run

    print(run(name, version, tracking_uri))


COMMANDS: dict[str, Callable[..., Any] | dict[str, Callable[..., Any]]] = {
    "train": {"detector": detector, "masks": masks, "joint": joint},
    "evaluate": evaluate,
    "predict": predict,
    "model": {"register": register, "promote": promote},
}
