"""`maskx predict`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from data_prep.arguments import Grouped
from maskx_model.cli.arguments import TrackingUri
from maskx_model.cli.model_options import InferenceComputeOptions


def predict(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="INPUT …", help_behavior_hint="(one or more)")],
    out: Path,
    min_score: Annotated[float, arg(metavar="SCORE")] = 0.5,
    tracking_uri: TrackingUri = None,
    *,
    computation: Grouped[InferenceComputeOptions],
) -> None:
    """Detect and segment the objects of images: overlays, and results in COCO's format.

    Args:
        model: The folder of a trained model, or a registered one such as models:/maskx@champion.
        inputs: JPEG and PNG files, and folders of them.
        out: Folder for the overlays and results.json.
        min_score: Draw the objects with at least this score (0 to 1); results.json lists all.
        tracking_uri: MLflow's tracking server for a registered model.

    Example:
        maskx predict masks photos --out predicted --min-score 0.3
    """
    from maskx_model.inference.predict_files import predict_files

    count = predict_files(
        model, inputs, out, min_score=min_score, tracking_uri=tracking_uri, compute=computation.compute
    )
    print(f"{count} images segmented: overlays and results.json are in {out}")
