"""KFP component: stage 1, the detector."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def train_detector(dataset: str, out: str, preset: str, seed: int) -> str:
    """Train a detector on the boxes of all classes (stage 1); resumes from its last checkpoint.

    Args:
        dataset: The dataset's URI.
        out: URI of the stage's folder: model, curves, checkpoints.
        preset: Name of the configuration.
        seed: Seed of the weights and of the order of the images.

    Returns:
        The detector's URI.
    """
    from data_prep.log import show_log
    from maskx_model.presets import get_preset
    from maskx_model.training.stages import train_detector as run

    show_log()
    run(dataset, out, get_preset(preset), seed=seed)
    return out
