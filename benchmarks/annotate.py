"""Boxes in, masks out: how good the masks of `maskx annotate` are on A and on B, what their scores say, and its speed.

The boxes are those of a dataset's objects whose masks are known; the masks made are compared with them. Speed is
compared with the bare model: the same images decoded, and the same boxes segmented, in a loop, both with loading the
model. What needs no model, the ellipse that fits into each box, is measured beside it: a number means little without
it. Scores are calibrated on one half of the images, by their keys, and everything is measured on the other half.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import tyro
from pycocotools import mask as coco_mask

from benchmarks.settings import print_settings
from data_prep.format.index import IndexRow
from data_prep.format.reader import Dataset
from data_prep.format.records import Rle
from data_prep.format.rle import coco_object, encode_polygons
from maskx_model.annotate.annotate import AnnotateOptions, annotate
from maskx_model.annotate.calibration import fit_calibration
from maskx_model.evaluation.coco_ap import average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import ground_truth_boxes
from maskx_model.evaluation.protocols import exhaustive_classes
from maskx_model.inference.segmenter import Segmenter
from maskx_model.results.instances import Instances


@dataclass(frozen=True)
class Options:
    """`oracle`: a model that was trained with masks of all classes, to compare with. `rounds`: of the command and the
    bare model, which take turns."""

    model: str = "runs/demo/masks-transfer"
    dataset: str = "runs/demo/dataset"
    oracle: str | None = None
    source: str = "coco"
    split: str = "val"
    rounds: int = 3


@dataclass(frozen=True)
class Made:
    """What a run made: its masks and scores by annotation id, and how fast."""

    masks: dict[int, Rle]
    scores: dict[int, float]
    speed: "Speed"


class Speed(NamedTuple):
    """Images a second, and images a second of all threads' CPU time, which other processes disturb less."""

    images_per_second: float
    images_per_cpu_second: float

    @classmethod
    def of(cls, images: int, work: Callable[[], object]) -> "Speed":
        """What the work on so many images takes."""
        start, cpu_start = time.perf_counter(), time.process_time()
        work()
        return cls(images / (time.perf_counter() - start), images / (time.process_time() - cpu_start))

    @classmethod
    def median(cls, speeds: "Sequence[Speed]") -> "Speed":
        """Of several rounds, each figure by itself."""
        return cls(*(statistics.median(figures) for figures in zip(*speeds, strict=True)))


@dataclass(frozen=True)
class Objects:
    """The objects with known masks that got one: whether their class is in B, whether they are of the second half of
    the images, the IoU and the certainty, [N] each."""

    in_b: npt.NDArray[np.bool_]
    measured: npt.NDArray[np.bool_]
    ious: npt.NDArray[np.float64]
    certainties: npt.NDArray[np.float64]


def made_by(model: str, options: Options, rows: Sequence[IndexRow]) -> Made:
    """Run the command's job on the dataset."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = AnnotateOptions(
            model,
            f"{folder}/out",
            dataset=options.dataset,
            split=options.split,
            source_name=options.source,
            replace="all",
        )
        speed = Speed.of(len(rows), lambda: annotate(wanted))
        (file,) = Path(folder, "out").glob(f"{options.source}-*.json")
        annotations: list[dict[str, Any]] = json.loads(file.read_bytes())["annotations"]
    made = [a for a in annotations if "provenance" in a]
    masks = {a["id"]: Rle(tuple(a["segmentation"]["size"]), a["segmentation"]["counts"]) for a in made}
    return Made(masks, {a["id"]: a["score"] for a in made}, speed)


def bare_model(data: Dataset, rows: Sequence[IndexRow], truths: Sequence[GroundTruth], model: str) -> None:
    """The model alone on the same boxes."""
    segmenter = Segmenter.load(model)
    for row, truth in zip(rows, truths, strict=True):
        boxes, labels = ground_truth_boxes(truth)
        segmenter.segment_given(data.pixels(row), boxes.numpy(), labels.numpy())


def ellipses(truths: Sequence[GroundTruth], made: Made) -> Made:
    """For each box that got a mask, the ellipse that fits into it."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    masks = {}
    for truth in truths:
        for thing in truth.objects:
            if thing.id in made.masks:
                x, y, w, h = thing.bbox
                points = np.stack([x + w / 2 * (1 + np.cos(angles)), y + h / 2 * (1 + np.sin(angles))], axis=1)
                masks[thing.id] = encode_polygons([points.ravel().tolist()], made.masks[thing.id].size)
    return Made(masks, made.scores, made.speed)


def mask_ap(truths: Sequence[GroundTruth], made: Made, classes: set[int]) -> float:
    """Mask AP at the annotated boxes, every score 1, mean over the classes, 0–100."""
    found = []
    for truth in truths:
        pairs = [(at, o) for at, o in zip(truth.labels, truth.objects, strict=True) if o.id in made.masks]
        boxes = np.array([o.bbox for _, o in pairs], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([at for at, _ in pairs], np.int64)
        ones = np.ones(len(pairs), np.float32)
        found.append(Instances(boxes, labels, ones, [made.masks[o.id] for _, o in pairs]))
    ap = average_precision(truths, found, "segm", classes).mean(classes)["AP"]
    return float("nan") if ap is None else ap


def compare(truths: Sequence[GroundTruth], made: Made, in_a: frozenset[int]) -> Objects:
    """The masks made, against those known."""
    rows = []
    for number, truth in enumerate(truths):
        for at, thing in zip(truth.labels, truth.objects, strict=True):
            if thing.mask is None or thing.iscrowd or thing.id not in made.masks:
                continue
            iou = coco_mask.iou([coco_object(made.masks[thing.id])], [coco_object(thing.mask)], [0])[0, 0]
            rows.append((at not in in_a, number % 2 == 1, iou, made.scores[thing.id]))
    in_b, measured, ious, certainties = np.array(rows, np.float64).reshape(-1, 4).T
    return Objects(in_b > 0, measured > 0, ious, certainties)


def scores(found: Objects) -> dict[str, float]:
    """What the scores say of the masks, calibrated on A's objects in the first half of the images."""
    known = ~found.in_b & ~found.measured
    calibrated = fit_calibration(found.certainties[known].tolist(), found.ious[known].tolist()).score(found.certainties)
    report = {}
    for name, chosen in (("A", found.measured & ~found.in_b), ("B", found.measured & found.in_b)):
        report[f"correlation_{name}"] = round(float(np.corrcoef(calibrated[chosen], found.ious[chosen])[0, 1]), 3)
        report[f"score_minus_iou_{name}"] = round(float((calibrated - found.ious)[chosen].mean()), 3)
    return report


def main(options: Options) -> None:
    """Measure, compare, print."""
    print_settings(**vars(options), threads=torch.get_num_threads())
    data = Dataset.open(options.dataset)
    labels = exhaustive_classes(data, options.source)
    rows = data.select(options.split, options.source)
    truths = [GroundTruth.of(data.read_record(row), options.source, labels) for row in rows]
    in_a = Segmenter.load(options.model).mask_classes
    b = set(labels.values()) - in_a
    bare_speeds, speeds = [], []
    for _ in range(options.rounds):
        bare_speeds.append(Speed.of(len(rows), lambda: bare_model(data, rows, truths, options.model)))
        made = made_by(options.model, options, rows)
        speeds.append(made.speed)
    bare, speed = Speed.median(bare_speeds), Speed.median(speeds)
    found, guessed = compare(truths, made, in_a), ellipses(truths, made)
    report: dict[str, float | int] = {
        "objects_B": int(found.in_b.sum()),
        "mask_ap_A": round(mask_ap(truths, made, set(labels.values()) & in_a), 1),
        "mask_ap_B": round(mask_ap(truths, made, b), 1),
        "mean_iou_A": round(float(found.ious[~found.in_b].mean()), 3),
        "mean_iou_B": round(float(found.ious[found.in_b].mean()), 3),
        "ellipse_mask_ap_B": round(mask_ap(truths, guessed, b), 1),
        "ellipse_mean_iou_B": round(float(compare(truths, guessed, in_a).ious[found.in_b].mean()), 3),
        **scores(found),
        "images_per_second": round(speed.images_per_second, 2),
        "ratio": round(speed.images_per_second / bare.images_per_second, 3),
        "cpu_ratio": round(speed.images_per_cpu_second / bare.images_per_cpu_second, 3),
    }
    if options.oracle is not None:
        oracle = made_by(options.oracle, options, rows)
        report["oracle_mask_ap_B"] = round(mask_ap(truths, oracle, b), 1)
        if report["oracle_mask_ap_B"] > 0:
            report["of_the_oracle"] = round(report["mask_ap_B"] / report["oracle_mask_ap_B"], 3)
        compared = compare(truths, oracle, in_a)
        report["oracle_mean_iou_B"] = round(float(compared.ious[compared.in_b].mean()), 3)
    for name, value in report.items():
        print(f"{name:<24} {value}")
    print(json.dumps(report))


if __name__ == "__main__":
    main(tyro.cli(Options))
