"""`maskx evaluate`."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from data_prep.arguments import Grouped, Uri, optional
from maskx_model.cli.arguments import MeasureOptions
from maskx_model.cli.model_options import InferenceComputeOptions


@dataclass(frozen=True)
class ComparisonOptions:
    """What is compared, and by which rules.

    Attributes:
        baseline: The folder of a class-agnostic model to compare with.
        protocol: `coco` measures the classes that the source annotates exhaustively. `lvis` measures all that it
            annotates, each only in the images where it is annotated or known to be absent, on 300 detections an image,
            and reports AP of rare, common and frequent classes too: for LVIS and Visual Genome.
        masks: Where masks come from: the `model`, or `grabcut`, which segments its boxes by color without learning (the
            paper's baseline). A detector's folder suffices for `grabcut`; it has no classes with masks, so all are B.
    """

    baseline: Annotated[str | None, optional("URI", "no comparison")] = None
    protocol: Literal["coco", "lvis"] = "coco"
    masks: Literal["model", "grabcut"] = "model"


def evaluate(
    model: Uri,
    dataset: Uri,
    out: Uri,
    *,
    source: Annotated[str, arg(metavar="NAME")] = "coco",
    measure: Grouped[MeasureOptions],
    comparison: Grouped[ComparisonOptions],
    computation: Grouped[InferenceComputeOptions],
) -> None:
    """Measure AP of boxes and masks on A (classes with masks in training), on B (without) and on all; write a report.

    Args:
        model: The folder of a trained model. Where no measured object has a mask that a person drew, there is no mask
            AP, and a detector's folder suffices.
        dataset: A prepared dataset with a validation split.
        out: Folder for metrics.json, per_class.csv, report.html and the predictions in COCO's results format.
        source: The source whose annotations are the ground truth, by its name in the dataset; `only` is the only one.

    Example:
        maskx evaluate --model masks --dataset dataset --out evaluation
    """
    from maskx_model.evaluation.ap_table import ap_table
    from maskx_model.report.evaluate import evaluate as run

    found = run(
        model,
        dataset,
        out,
        baseline=comparison.baseline,
        split=measure.split,
        source=source,
        max_images=measure.max_images,
        protocol=comparison.protocol,
        masks=comparison.masks,
        compute=computation.compute,
    )
    if os.environ.get("RANK", "0") == "0":  # of the ranks that torchrun starts, one tells
        rows = {"mask AP": found.ap, "mask AP on annotated boxes": found.ap_gt_boxes, "box AP": found.box_ap}
        measured = {title: ap for title, ap in rows.items() if ap}
        print("\n".join(ap_table("AP (0.50:0.95), percent", measured)))
        print(f"report  {out}/report.html")
