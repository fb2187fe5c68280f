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
    tracking_uri: str,
    experiment: str,
    seed: Optional[int] = None,  # noqa: UP045  KFP knows no `int | None`
) -> str:
    """Train a detector on the boxes of all classes (stage 1); resumes from its last checkpoint.

    Args:
        dataset: The dataset's URI.
        out: URI of the stage's folder: model, curves, checkpoints.
        preset: Name of the configuration; empty for the one that `config` names.
        config: URI of a configuration as YAML; empty for the preset as it is.
        overrides: Fields to change, each FIELD=VALUE.
        tracking_uri: MLflow's tracking server, which shows the training while it runs.
        experiment: The experiment that its run belongs to.
        seed: Seed of the weights and of the order of the images; None for the configuration's.

    Returns:
        The detector's URI.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import of_pipeline
    from maskx_model.registry.live_training import FollowedTraining, followed
    from maskx_model.training.stages import train_detector as run

    show_log()
    settings = of_pipeline(preset, config, overrides)
    training = FollowedTraining("stage1", dataset, out, settings, {"seed": seed})
    with followed(training, tracking_uri, experiment) as observers:
        run(dataset, out, settings, seed=seed, observers=observers)
    return out
