"""`maskx annotate`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from data_prep.arguments import Grouped, Uri, optional
from data_prep.format.exif_rule import ExifRule
from data_prep.storage.errors import ConfigError
from maskx_model.cli.arguments import EngineOptions, TrackingUri
from maskx_model.cli.model_options import InferenceComputeOptions


@dataclass(frozen=True)
class BoxesOptions:
    """What is annotated: a source's files, or a prepared dataset.

    Attributes:
        source: `NAME=coco:ANNOTATIONS,IMAGES` or any other form that `maskx data prepare` takes, except vg. The files
            come back completed, all else in them byte for byte; packed ones without .gz or .zip, all in UTF-8.
        dataset: A prepared dataset, on disk or in object storage. Its boxes and masks come back as a COCO-format file.
        split: The split of the dataset.
        source_name: The dataset's source whose boxes are segmented, by its name there.
        replace: Which masks that are there are made anew: `none`; `made`, those that a model made, as their provenance
            says; `all`, people's too.
        exif: Which of the source's images are read upright, as their EXIF orientation says. `auto`: those whose listed
            width and height fit only the upright image; `apply`: all, as boxes were drawn on upright images; `ignore`:
            none.
    """

    source: Annotated[str | None, optional("NAME=KIND:PATH", "a dataset")] = None
    dataset: Annotated[str | None, optional("URI", "a source's files")] = None
    split: Annotated[str, arg(metavar="NAME")] = "train"
    source_name: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(required with --dataset)")] = None
    replace: Literal["none", "made", "all"] = "none"
    exif: ExifRule = "auto"


@dataclass(frozen=True)
class MaskFileOptions:
    """How masks and scores are written.

    Attributes:
        polygons: Write polygons, which annotation tools edit, instead of run lengths. Holes are filled.
        tolerance: How far a polygon may be from its mask's outline, in pixels.
        calibrate: A prepared dataset with masks of the model's classes. A mask's score is then the IoU to be expected,
            as learned on the split val (train, where there is no other). The model folder keeps that in
            calibration.json for later runs. Without it the score is the model's certainty, the mean of |2p − 1| within
            the mask.
    """

    polygons: Annotated[bool, arg(help_behavior_hint="(default: run lengths)")] = False
    tolerance: Annotated[float | None, optional("PIXELS", "1, with --polygons")] = None
    calibrate: Annotated[str | None, optional("URI", "the model folder's, if it has one")] = None

    @property
    def pixels(self) -> float | None:
        """The tolerance of polygons; None for run lengths. Raises ConfigError for a tolerance of run lengths."""
        if self.tolerance is not None and not self.polygons:
            raise ConfigError("--tolerance: is that of polygons; add --polygons")
        return (1.0 if self.tolerance is None else self.tolerance) if self.polygons else None


def annotate(
    model: Annotated[Positional[str], arg(metavar="MODEL")],
    out: Uri,
    tracking_uri: TrackingUri = None,
    *,
    boxes: Grouped[BoxesOptions],
    masks: Grouped[MaskFileOptions],
    engine: Grouped[EngineOptions],
    computation: Grouped[InferenceComputeOptions],
) -> None:
    """Boxes in, masks out: give each annotated box of a class that the model knows its mask.

    Writes the COCO-format files completed: `segmentation`, `score` (how sure the mask is) and `provenance` (what made
    it) are added, all else stays. Masks that are there are kept. page.html shows examples and the least sure masks. The
    same command again resumes an interrupted run.

    Args:
        model: The folder of a trained model, or a registered one such as models:/maskx@champion.
        out: Folder for the completed files, page.html and summary.json.
        tracking_uri: MLflow's tracking server for a registered model.

    Example:
        maskx annotate masks --source mine=coco:boxes.json,photos --out annotated --calibrate dataset
    """
    from maskx_model.annotate.annotate import AnnotateOptions
    from maskx_model.annotate.annotate import annotate as run
    from maskx_model.annotate.summary import describe

    options = AnnotateOptions(
        model=model,
        out=out,
        source=boxes.source,
        dataset=boxes.dataset,
        split=boxes.split,
        source_name=boxes.source_name,
        replace=boxes.replace,
        exif=boxes.exif,
        tolerance=masks.pixels,
        calibrate=masks.calibrate,
        engine=engine.engine,
        compute=computation.compute,
        tracking_uri=tracking_uri,
    )
    print(describe(run(options), out))
