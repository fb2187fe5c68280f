"""KFP component: predictions on any number of images."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def predict_batch(
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
    predictions: dsl.Output[dsl.Dataset],
    summary: dsl.Output[dsl.Markdown],
) -> str:
    """Segment images with a model, as `maskx predict-batch` does.

    Args:
        model: URI of the model, or a registered one such as `models:/maskx@champion`.
        inputs: URIs of images and of folders of images; empty for a dataset's.
        dataset: URI of a prepared dataset; empty for `inputs`.
        split: Its split; empty for all.
        root: URI below which the predictions get a folder of their own.
        run_id: What the orchestrator calls the run, and so the name of the folder: a step tried again goes on there.
        tracking_uri: MLflow's tracking server, for a registered model.
        batch: Images of one size that are computed at a time.
        max_rejected: Fraction of the images that may be unreadable.
        runner: Apache Beam's name of an engine; empty for this step's own pod.
        beam: Options of Beam or of the runner, each KEY=VALUE.
        predictions: The manifest: files with their hashes, counts, and what they were made from.
        summary: How many images and objects, and which images could not be read.

    Returns:
        URI of the folder with the predictions.
    """
    from data_prep.beam.engine import Engine
    from data_prep.log import show_log
    from data_prep.storage.storage import read, write
    from maskx_model.batch_prediction.manifest import describe
    from maskx_model.batch_prediction.options import BatchOptions
    from maskx_model.batch_prediction.predict_batch import predict_batch as run

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
    made = run(options)
    write(predictions.path, read(f"{options.out}/manifest.json"))
    write(summary.path, "\n\n".join(["# Batch prediction", *describe(made, options.out)]).encode())
    predictions.metadata.update(uri=options.out, model=made.model, images=made.images, objects=made.objects)
    summary.metadata.update(rejected=made.rejected)
    return options.out
