"""`maskx predict-batch`."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from data_prep.arguments import Grouped, Number, Uri, optional
from maskx_model.cli.arguments import EngineOptions, TrackingUri
from maskx_model.cli.model_options import InferenceComputeOptions


@dataclass(frozen=True)
class DatasetOptions:
    """Images of a prepared dataset, instead of INPUT …

    Attributes:
        dataset: A prepared dataset, on disk or in object storage.
        split: The split of the dataset.
    """

    dataset: Annotated[str | None, optional("URI", "INPUT …")] = None
    split: Annotated[str | None, optional("NAME", "all splits")] = None


def predict_batch(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT …", help_behavior_hint="(or --dataset)")] = (),
    *,
    out: Uri,
    tracking_uri: TrackingUri = None,
    batch: Number = 1,
    max_rejected: Annotated[float, arg(metavar="FRACTION")] = 0.01,
    images: Grouped[DatasetOptions],
    engine: Grouped[EngineOptions],
    computation: Grouped[InferenceComputeOptions],
) -> None:
    """Detect and segment the objects of any number of images: Parquet files, and results in COCO's format.

    Writes predictions-000000.parquet and so on (a row per image: its objects with class, box, score and mask, or why it
    cannot be read), results.json with images.json, as `maskx predict` does, and last manifest.json. The same command
    again resumes an interrupted run. The files are the same whatever the engine and the number of workers.

    Args:
        model: The folder of a trained model, or a registered one such as models:/maskx@champion.
        inputs: JPEG, PNG, WebP, BMP, TIFF and GIF files, and folders of them, also s3://BUCKET/PREFIX. Images are read
            upright, as their EXIF data say.
        out: Folder for the files, on disk or s3://BUCKET/PREFIX.
        tracking_uri: MLflow's tracking server for a registered model.
        batch: Number of images of one size that are computed at a time: faster on a GPU. Scores may differ from those
            of one at a time in their last digits.
        max_rejected: Fraction of the images that may be unreadable. With more of them the command ends with an error
            and writes no results.json. Ten unreadable images, but at most a quarter of all, are always allowed.

    Example:
        maskx predict-batch models:/maskx@champion s3://BUCKET/photos --out s3://BUCKET/predicted --workers 8
    """
    from maskx_model.batch_prediction.manifest import describe
    from maskx_model.batch_prediction.options import BatchOptions
    from maskx_model.batch_prediction.predict_batch import predict_batch as run

    options = BatchOptions(
        model=model,
        out=out,
        inputs=inputs,
        dataset=images.dataset,
        split=images.split,
        batch=batch,
        max_rejected=max_rejected,
        engine=engine.engine,
        compute=computation.compute,
        tracking_uri=tracking_uri,
    )
    print("\n".join(describe(run(options), out)))
