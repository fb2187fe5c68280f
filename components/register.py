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
    journal: str,
    run_id: str,
    summary: dsl.Output[dsl.Markdown],
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
        journal: URI of the run's journal.
        run_id: What the orchestrator calls the run.
        summary: What the run was, what it came to and where everything is.
        estimate: URI of the estimate for B; empty for none.

    Returns:
        The registered version, `models:/NAME/VERSION`.
    """
    from data_prep.log import show_log
    from data_prep.storage.storage import write
    from maskx_model.configure.choose import choose
    from maskx_model.preflight.outcome import note_version
    from maskx_model.preflight.summary import summarized
    from maskx_model.registry.registry import register as run

    show_log()
    run_config = choose(config=config)
    version = run(model, evaluation, name, tracking_uri, tuple(stages), dataset, run_config, estimate or None)
    note_version(version, journal, run_id, tracking_uri)
    places = {"model": model, "evaluation": evaluation, "dataset": dataset, "configuration": config}
    write(summary.path, summarized(version, evaluation, {**places, "tracking": tracking_uri}).encode())
    summary.metadata.update(version=version, **places)
    return version
