"""KFP component: stage 2, the masks of every class."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train_masks(
    dataset: str,
    detector: str,
    out: str,
    config: str,
    tracking_uri: str,
    experiment: str,
    kind: str,
) -> str:
    """Train the mask branch on the frozen detector (stage 2); resumes from its last checkpoint.

    Args:
        dataset: The dataset's URI.
        detector: URI of stage 1's folder.
        out: URI of the stage's folder: model, curves, checkpoints.
        config: URI of the run's whole configuration.
        tracking_uri: MLflow's tracking server, which shows the training while it runs; empty for none.
        experiment: The experiment that its run belongs to.
        kind: `transfer`, or `class_agnostic` for the baseline.

    Returns:
        The model's URI.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import choose
    from maskx_model.registry.live_training import FollowedTraining, followed
    from maskx_model.training.stages import train_masks as run

    show_log()
    settings = choose(config=config)
    training = FollowedTraining("stage2", dataset, out, settings, {"kind": kind, "detector": detector})
    with followed(training, tracking_uri, experiment) as observers:
        run(dataset, detector, out, settings, kind=kind, observers=observers)  # type: ignore[arg-type]  # a Literal
    return out
