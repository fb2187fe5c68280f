"""COCO's AP at thousands of classes against pycocotools, in CPU seconds; and our memory at the full size.

Both measure the same generated images and detections. pycocotools visits every pair of an image and a class, so it is
compared on fewer images; its documents are ready before its clock starts, ours are part of our time.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tyro
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.detected_world import detected_world
from benchmarks.process_tree import measured
from benchmarks.settings import print_settings
from maskx_model.evaluation.coco_ap import METRICS, APTable, IouType, average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.results.instances import Instances

FullSize = tuple[list[GroundTruth], list[Instances]]


@dataclass(frozen=True)
class Options:
    """`images` of the full size, with `detections` each and `objects` on average; `compared` of them are compared with
    pycocotools in `rounds`; at the full size its AP of `checked` classes is compared too."""

    images: int = 5000
    classes: int = 3001
    detections: int = 100
    objects: float = 16
    compared: int = 500
    rounds: int = 1
    checked: int = 20
    iou_type: IouType = "segm"

    def world(self) -> FullSize:
        """The images' ground truth, and the predictions in each."""
        return detected_world(self.images, self.classes, self.detections, self.objects)


class Reference:
    """pycocotools on the same ground truth and predictions."""

    def __init__(self, options: Options, world: FullSize, classes: list[int]) -> None:
        ground_truth, predictions = world
        self.iou_type, self.classes = options.iou_type, classes
        self.results = [
            self._shape(annotated, each, i) | {"image_id": annotated.image_id, "category_id": label + 1, "score": score}
            for annotated, each in zip(ground_truth, predictions, strict=True)
            for i, (label, score) in enumerate(zip(each.labels.tolist(), each.scores.tolist(), strict=True))
        ]
        self.annotated = COCO()
        self.annotated.dataset = {
            "images": [{"id": t.image_id, "height": t.height, "width": t.width} for t in ground_truth],
            "categories": [{"id": label + 1} for label in range(options.classes)],
            "annotations": self._annotations(ground_truth),
        }

    def _shape(self, annotated: GroundTruth, each: Instances, i: int) -> dict[str, Any]:
        if self.iou_type == "segm":
            return {"segmentation": {"size": [annotated.height, annotated.width], "counts": each.masks[i].counts}}
        x1, y1, x2, y2 = each.boxes[i].astype(np.float64).tolist()
        return {"bbox": [x1, y1, x2 - x1, y2 - y1]}

    def _annotations(self, ground_truth: list[GroundTruth]) -> list[dict[str, Any]]:
        annotations: list[dict[str, Any]] = []
        for annotated in ground_truth:
            for label, thing in zip(annotated.labels, annotated.objects, strict=True):
                assert thing.mask is not None
                mask = {"size": list(thing.mask.size), "counts": thing.mask.counts}
                entry = {"bbox": list(thing.bbox), "area": thing.area, "iscrowd": thing.iscrowd, "segmentation": mask}
                ids = {"id": len(annotations) + 1, "image_id": annotated.image_id, "category_id": label + 1}
                annotations.append(entry | ids)
        return annotations

    def average_precision(self) -> tuple[npt.NDArray[np.float64], list[float]]:
        """AP of each class and the six metrics, 0..1; -1 where there is no object."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.annotated.createIndex()
            run = COCOeval(self.annotated, self.annotated.loadRes(self.results), self.iou_type)
            run.params.catIds = [label + 1 for label in self.classes]
            run.evaluate()
            run.accumulate()
            run.summarize()
        return run.eval["precision"][..., 0, 2].mean(axis=(0, 1)), list(run.stats[:6])


def same(table: APTable, classes: list[int], reference: tuple[npt.NDArray[np.float64], list[float]]) -> bool:
    """Whether every class's AP and the six metrics are equal to 1e-9."""
    by_class, means = table.by_class(), table.mean(classes)
    ours = [by_class[label] for label in classes] + [means[metric] for metric in METRICS]
    fractions = [-1.0 if ap is None else ap / 100 for ap in ours]
    return bool(np.allclose(fractions, [*reference[0], *reference[1]], rtol=0, atol=1e-9))


def compare(options: Options) -> tuple[float, bool]:
    """How many times faster than pycocotools, by the best round of each, and whether the numbers are equal."""
    ground_truth, predictions = world = options.world()
    classes = list(range(options.classes))
    reference = Reference(options, world, classes)
    seconds: dict[str, list[float]] = {"pycocotools": [], "ours": []}
    for _ in range(options.rounds):
        start = time.process_time()
        expected = reference.average_precision()
        seconds["pycocotools"].append(time.process_time() - start)
        start = time.process_time()
        table = average_precision(ground_truth, predictions, options.iou_type, classes)
        seconds["ours"].append(time.process_time() - start)
    theirs, ours = (min(each) for each in seconds.values())
    print(f"{options.images} images: pycocotools {theirs:.1f} CPU s, ours {ours:.1f} CPU s", flush=True)
    return theirs / ours, same(table, classes, expected)


def full_size(options: Options, out: Path) -> None:
    """Measure everything, in a process of its own, and put the result into `out`."""
    ground_truth, predictions = options.world()
    start = time.process_time()
    table = average_precision(ground_truth, predictions, options.iou_type, range(options.classes))
    np.savez(out, values=table.values, seconds=time.process_time() - start)


def measure_full_size(options: Options) -> tuple[float, float, bool]:
    """Our CPU seconds and the process's peak of anonymous memory in MB, the generated world included; and whether
    pycocotools says the same of the checked classes."""
    with tempfile.TemporaryDirectory(prefix="maskx-evaluation-") as folder:
        out = Path(folder) / "table.npz"
        call = f"full_size(Options(**{vars(options)!r}), Path({str(out)!r}))"
        lines = f"from pathlib import Path; from benchmarks.evaluation import Options, full_size; {call}"
        peak = measured([sys.executable, "-c", lines]).anonymous_mb
        saved = np.load(out)
        values, seconds = saved["values"], float(saved["seconds"])
    checked = np.linspace(0, options.classes - 1, min(options.checked, options.classes)).round().astype(int).tolist()
    expected = Reference(options, options.world(), checked).average_precision()
    return seconds, peak, same(APTable(tuple(range(options.classes)), values), checked, expected)


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(("numpy", "pycocotools", "hotcoco"), **vars(options))
    ratio, identical = compare(replace(options, images=min(options.compared, options.images)))
    seconds, peak, checked = measure_full_size(options)
    print(f"{options.images} images: ours {seconds:.1f} CPU s, {peak:.0f} MB with all that is measured")
    report = {"ratio": round(ratio, 1), "identical": identical and checked}
    print(json.dumps(report | {"seconds": round(seconds, 1), "peak_mb": round(peak)}))


if __name__ == "__main__":
    main(tyro.cli(Options))
