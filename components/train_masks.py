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
        kind: `transfer`, or `class_agnostic` for the baseline.
        mask_classes: The classes whose masks training sees (A); empty for what the preset says.
        seed: Seed of the weights and of the order of the images; None for the configuration's.

    Returns:
        The model's URI.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import of_pipeline
    from maskx_model.training.stages import train_masks as run

    show_log()
    run(
        dataset,
        detector,
        out,
        of_pipeline(preset, config, overrides),
        kind=kind,  # type: ignore[arg-type]  # KFP knows no Literal
        mask_classes=mask_classes or None,
        seed=seed,
    )
    return out
