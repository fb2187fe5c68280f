"""KFP component: what all heads of a study are trained on."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def study_features(dataset: str, detector: str, out: str, config: str, max_images: int) -> str:
    """Compute the frozen detector's features once, for all variants and all choices of A.

    Args:
        dataset: The dataset's URI.
        detector: URI of stage 1's folder.
        out: URI of the folder for the features.
        config: URI of the run's whole configuration.
        max_images: Validation images to measure on at most; 0 for all.

    Returns:
        `out`.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import choose
    from maskx_model.study.splits import prepare_features

    show_log()
    return prepare_features(dataset, detector, out, choose(config=config), int(max_images) or None)
