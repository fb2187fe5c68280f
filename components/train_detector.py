"""KFP component: stage 1, the detector."""

from typing import Optional

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train_detector(
    dataset: str,
    out: str,
    preset: str,
    config: str,
    overrides: list[str],
    seed: Optional[int] = None,  # noqa: UP045  KFP knows no `int | None`
) -> str:
    """Train a detector on the boxes of all classes (stage 1); resumes from its last checkpoint.

    Args:
        dataset: The dataset's URI.
        out: URI of the stage's folder: model, curves, checkpoints.
        preset: Name of the configuration; empty for the one that `config` names.
        config: URI of a configuration as YAML; empty for the preset as it is.
        overrides: Fields to change, each FIELD=VALUE.
        seed: Seed of the weights and of the order of the images; None for the configuration's.

    Returns:
        The detector's URI.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import of_pipeline
    from maskx_model.training.stages import train_detector as run

    show_log()
    run(dataset, out, of_pipeline(preset, config, overrides), seed=seed)
    return out
