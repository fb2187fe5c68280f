"""KFP component: rows of the paper's tables with one choice of A."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def study_split(
    dataset: str,
    detector: str,
    features: str,
    out: str,
    root: str,
    run_id: str,
    split: str,
    seeds: list[int],
    max_images: int,
) -> str:
    """Train and measure variants of the mask head on the frozen detector, from the masks of one choice of A.

    Args:
        dataset: The dataset's URI.
        detector: URI of stage 1's folder.
        features: URI of the detector's features.
        out: URI of the study's folder.
        root: The pipeline's, below which the first step wrote the run's whole configuration.
        run_id: What the orchestrator calls the run.
        split: The choice of A and the rows to train, `A=ROWS`.
        seeds: Seeds of the heads.
        max_images: Validation images to measure on at most; 0 for all.

    Returns:
        URI of the split's result.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import choose
    from maskx_model.preflight.journal import config_uri
    from maskx_model.study.splits import parse_split
    from maskx_model.study.splits import study_split as run

    show_log()
    whole, at_most = choose(config=config_uri(root, run_id)), int(max_images) or None
    return run(dataset, detector, features, out, whole, parse_split(split), [int(seed) for seed in seeds], at_most)
