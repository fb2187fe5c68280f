"""KFP component: stage 2, the masks of every class."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train_masks(
    dataset: str,
    detector: str,
    out: str,
    preset: str,
    kind: str,
    mask_classes: str,
    seed: int,
) -> str:
    """Train the mask branch on the frozen detector (stage 2); resumes from its last checkpoint.

    Args:
        dataset: The dataset's URI.
        detector: URI of stage 1's folder.
        out: URI of the stage's folder: model, curves, checkpoints.
        preset: Name of the configuration.
        kind: `transfer`, or `class_agnostic` for the baseline.
        mask_classes: The classes whose masks training sees (A); empty for what the preset says.
        seed: Seed of the weights and of the order of the images.

    Returns:
        The model's URI.
    """
    from data_prep.log import show_log
    from maskx_model.presets import get_preset
    from maskx_model.training.stages import train_masks as run

    show_log()
    run(
        dataset,
        detector,
        out,
        get_preset(preset),
        kind=kind,  # type: ignore[arg-type]  # KFP knows no Literal
        mask_classes=mask_classes or None,
        seed=seed,
    )
    return out
