"""KFP component: tell how the run ended, well or not."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def finish(root: str, run_id: str, registered_name: str, tracking_uri: str, status: dsl.PipelineTaskFinalStatus) -> str:
    """Tell in the log and in the tracking server how the run ended; runs after all other steps, also where one failed.

    Args:
        root: The pipeline's parameter, below which the first step wrote the run's journal.
        run_id: What the orchestrator calls the run.
        registered_name: Name in the model registry, and of the experiment.
        tracking_uri: MLflow's tracking server, or `sqlite:///FILE`.
        status: How all other steps together ended, as the orchestrator has it.

    Returns:
        The registered version: this run's, or the one since which nothing has changed; empty if the run failed.
    """
    from data_prep.log import show_log
    from maskx_model.preflight.outcome import report_outcome

    show_log()
    return report_outcome(root, run_id, status.state, status.error_message or "", registered_name, tracking_uri)
