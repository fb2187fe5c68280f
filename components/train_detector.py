"""KFP component: stage 1, the detector."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train_detector(
    dataset: str,
    out: str,
    config: str,
    tracking_uri: str,
    experiment: str,
) -> str:
    """Train a detector on the boxes of all classes (stage 1); resumes from its last checkpoint.

    Args:
        dataset: The dataset's URI.
        out: URI of the stage's folder: model, curves, checkpoints.
        config: URI of the run's whole configuration.
        tracking_uri: MLflow's tracking server, which shows the training while it runs; empty for none.
        experiment: The experiment that its run belongs to.

    Returns:
        The detector's URI.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import choose
    from maskx_model.registry.live_training import FollowedTraining, followed
    from maskx_model.training.stages import train_detector as run

    show_log()
    settings = choose(config=config)
    with followed(FollowedTraining("stage1", dataset, out, settings), tracking_uri, experiment) as observers:
        run(dataset, out, settings, observers=observers)
    return out
