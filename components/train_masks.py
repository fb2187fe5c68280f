"""KFP component: stage 2, the masks of every class."""

from typing import Optional

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train_masks(
    dataset: str,
    detector: str,
    out: str,
    preset: str,
    config: str,
    overrides: list[str],
    tracking_uri: str,
    experiment: str,
    kind: str,
    mask_classes: str,
    seed: Optional[int] = None,  # noqa: UP045  KFP knows no `int | None`
) -> str:
    """Train the mask branch on the frozen detector (stage 2); resumes from its last checkpoint.

    Args:
        dataset: The dataset's URI.
        detector: URI of stage 1's folder.
        out: URI of the stage's folder: model, curves, checkpoints.
        preset: Name of the configuration; empty for the one that `config` names.
        config: URI of a configuration as YAML; empty for the preset as it is.
        overrides: Fields to change, each FIELD=VALUE.
        tracking_uri: MLflow's tracking server, which shows the training while it runs.
        experiment: The experiment that its run belongs to.
        kind: `transfer`, or `class_agnostic` for the baseline.
        mask_classes: The classes whose masks training sees (A); empty for what the preset says.
        seed: Seed of the weights and of the order of the images; None for the configuration's.

    Returns:
        The model's URI.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import of_pipeline
    from maskx_model.registry.live_training import FollowedTraining, followed
    from maskx_model.training.stages import train_masks as run

    show_log()
    settings = of_pipeline(preset, config, overrides)
    options = {"kind": kind, "mask_classes": mask_classes or None, "seed": seed}
    training = FollowedTraining("stage2", dataset, out, settings, {**options, "detector": detector})
    with followed(training, tracking_uri, experiment) as observers:
        run(dataset, detector, out, settings, **options, observers=observers)  # type: ignore[arg-type]  # KFP's types
    return out
