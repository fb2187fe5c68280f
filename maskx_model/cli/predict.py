"""`maskx predict`."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from data_prep.arguments import Grouped, Number, Uri
from maskx_model.cli.arguments import TrackingUri
from maskx_model.cli.model_options import InferenceComputeOptions


@dataclass(frozen=True)
class DrawingOptions:
    """What the overlays show. results.json lists all objects.

    Attributes:
        min_score: Draw the objects with at least this score (0 to 1).
        classes: Draw these classes only, by name or synset.
    """

    min_score: Annotated[float, arg(metavar="SCORE")] = 0.5
    classes: Annotated[tuple[str, ...], arg(metavar="NAME …", help_behavior_hint="(default: all classes)")] = ()


def predict(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT …", help_behavior_hint="(one or more)")],
    out: Uri,
    tracking_uri: TrackingUri = None,
    batch: Number = 1,
    resume: bool = False,
    *,
    drawing: Grouped[DrawingOptions],
    computation: Grouped[InferenceComputeOptions],
) -> None:
    """Detect and segment the objects of images: overlays, and results in COCO's format.

    Args:
        model: The folder of a trained model, or a registered one such as models:/maskx@champion.
        inputs: JPEG, PNG, WebP, BMP, TIFF and GIF files, and folders of them, also s3://BUCKET/PREFIX. Images are read
            upright, as their EXIF data say.
        out: Folder for the overlays and results.json, on disk or s3://BUCKET/PREFIX.
        tracking_uri: MLflow's tracking server for a registered model.
        batch: Number of images of one size that are computed at a time: faster on a GPU. Scores may differ from those
            of one at a time in their last digits.
        resume: Keep what an earlier run into the same folder has done before it was cut off.

    Example:
        maskx predict masks photos --out predicted --min-score 0.3 --classes person dog
    """
    from maskx_model.inference.predict_files import PredictOptions, predict_files

    options = PredictOptions(drawing.min_score, drawing.classes, batch, resume, computation.compute)
    count = predict_files(model, inputs, out, options, tracking_uri)
    print(f"{count} images segmented: overlays and results.json are in {out}")
