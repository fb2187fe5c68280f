"""KFP component: check all that a prediction is asked for."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def check_prediction(
    model: str,
    inputs: list[str],
    dataset: str,
    split: str,
    root: str,
    run_id: str,
    tracking_uri: str,
    batch: int,
    max_rejected: float,
    runner: str,
    beam: list[str],
    sizes: dict[str, str],
    accelerator_count: str,
    gpu_node_selector: dict[str, str],
    gpu_tolerations: list[dict[str, str]],
) -> str:
    """Check the parameters of a prediction, its images, its model and its pod; what is wrong is told at once.

    Args:
        model: URI of the model, or a registered one such as `models:/maskx@champion`.
        inputs: URIs of images and of folders of images; empty for a dataset's.
        dataset: URI of a prepared dataset; empty for `inputs`.
        split: Its split; empty for all.
        root: URI below which the predictions get a folder of their own.
        run_id: What the orchestrator calls the run.
        tracking_uri: MLflow's tracking server, for a registered model.
        batch: Images of one size that are computed at a time.
        max_rejected: Fraction of the images that may be unreadable.
        runner: Apache Beam's name of an engine; empty for the next step's own pod.
        beam: Options of Beam or of the runner, each KEY=VALUE.
        sizes: CPU and memory of the steps, by the names of the pipeline's parameters.
        accelerator_count: Accelerators of the prediction, as text.
        gpu_node_selector: Labels of its node.
        gpu_tolerations: Tolerations of its pod.

    Returns:
        The model; of a registered one the version that its alias names now.
    """
    from data_prep.beam.engine import Engine
    from data_prep.log import show_log
    from maskx_model.batch_prediction.check import checked_model
    from maskx_model.batch_prediction.options import BatchOptions

    show_log()
    options = BatchOptions(
        model=model,
        out=f"{root}/{run_id}",
        inputs=tuple(inputs),
        dataset=dataset or None,
        split=split or None,
        batch=int(batch),  # a number may arrive as a float
        max_rejected=max_rejected,
        engine=Engine(runner or None, tuple(beam)),
        tracking_uri=tracking_uri or None,
    )
    pool = {"gpu_node_selector": gpu_node_selector, "gpu_tolerations": gpu_tolerations}
    return checked_model(options, {**sizes, **pool, "accelerator_count": accelerator_count})
