"""KFP component: the model into the registry."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def register(
    model: str,
    evaluation: str,
    stages: list[str],
    dataset: str,
    config: str,
    name: str,
    tracking_uri: str,
    estimate: str = "",
) -> str:
    """Register the model with its numbers, curves and report; it becomes the champion if it passes the gates.

    Args:
        model: URI of the model.
        evaluation: URI of its evaluation.
        stages: URIs of the other stages' folders, whose curves belong to it too.
        dataset: URI of the dataset it was made from.
        config: URI of the whole configuration that it was trained with.
        name: Name in the registry.
        tracking_uri: MLflow's tracking server, or `sqlite:///FILE`.
        estimate: URI of the estimate for B; empty for none.

    Returns:
        The registered version, `models:/NAME/VERSION`.
    """
    from data_prep.log import show_log
    from maskx_model.configure.choose import choose
    from maskx_model.registry.registry import register as run

    show_log()
    settings = choose(config=config)
    return run(model, evaluation, name, tracking_uri, tuple(stages), dataset, settings, estimate or None)
