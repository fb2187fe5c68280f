"""AP where not every class was looked for in every image, against LVIS's definition written out in plain loops."""

import numpy as np
import numpy.typing as npt
import pytest

from data_prep.format.index import IndexRow
from maskx_model.evaluation.coco_ap import IouType, average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.protocols import frequency_bins
from maskx_model.results.instances import Instances
from tests.maskx_model.samples import bitmap
from tests.maskx_model.synthetic import ellipse, instances, random_boxes, random_world

NAMES = [f"class {i}" for i in range(12)]
LABELS = {name: position for position, name in enumerate(NAMES)}
RANGES = ((0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10))
Overlaps = npt.NDArray[np.float64]


def federated_world(seed: int, images: int) -> tuple[list[GroundTruth], list[Instances]]:
    """Without crowds, which LVIS has none of; each class is absent for sure from a few images, and in a few not
    every object of it is annotated."""
    rng = np.random.default_rng(seed)
    records, predictions = random_world(seed, images, NAMES)
    ground_truth = []
    for record in records:
        objects = tuple(o for o in record.objects["coco"] if not o.iscrowd)
        labels = tuple(LABELS[o.category] for o in objects)
        negative = frozenset(rng.choice(12, 3, replace=False).tolist()) - set(labels)
        partly = frozenset(label for label in labels if rng.random() < 0.3)
        image_id = record.ids["coco"]
        ground_truth.append(GroundTruth(image_id, record.height, record.width, labels, objects, negative, partly))
    return ground_truth, predictions


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(2))
def test_every_metric_of_every_class_is_lviss(iou_type: IouType, seed: int) -> None:
    ground_truth, predictions = federated_world(seed, 60)
    table = average_precision(ground_truth, predictions, iou_type, range(len(NAMES)), federated=True)
    expected = np.array([lvis_ap(ground_truth, predictions, iou_type, label) for label in range(len(NAMES))])
    assert np.isfinite(expected).mean() > 0.8
    assert 10 < np.nanmean(expected[:, 0]) < 90
    np.testing.assert_allclose(table.values, expected, rtol=0, atol=1e-7)
    as_if_exhaustive = average_precision(ground_truth, predictions, iou_type, range(len(NAMES)))
    assert (table.values[:, 0] > as_if_exhaustive.values[:, 0] + 1).any()


def lvis_ap(
    ground_truth: list[GroundTruth], predictions: list[Instances], iou_type: IouType, label: int
) -> list[float]:
    """The six metrics in percent points, NaN where there is no object."""
    thresholds = np.linspace(0.5, 0.95, 10)
    by_range = [
        [_precision(ground_truth, predictions, iou_type, label, threshold, *limits) for threshold in thresholds]
        for limits in RANGES
    ]
    everything, small, medium, large = (100 * np.mean(each) for each in by_range)
    return [float(n) for n in (everything, 100 * by_range[0][0], 100 * by_range[0][5], small, medium, large)]


def _precision(
    ground_truth: list[GroundTruth],
    predictions: list[Instances],
    iou_type: IouType,
    label: int,
    threshold: float,
    least: float,
    most: float,
) -> float:
    """Mean interpolated precision at 101 recalls, 0..1."""
    counted: list[tuple[float, bool]] = []
    objects = 0
    for image, seen in sorted(zip(ground_truth, predictions, strict=True), key=lambda pair: pair[0].image_id):
        if label not in image.labels and label not in image.negative:
            continue
        best = np.argsort(-seen.scores, kind="stable")[:300]
        mine = [int(i) for i in best if seen.labels[i] == label]
        there = [i for i, each in enumerate(image.labels) if each == label]
        ignored = [not least <= image.objects[i].area <= most for i in there]
        objects += len(there) - sum(ignored)
        overlaps, areas = _overlaps(image, seen, there, mine, iou_type)
        taken: set[int] = set()
        for d, area in enumerate(areas):
            free = [g for g in range(len(there)) if g not in taken and overlaps[d, g] >= threshold]
            wanted = [g for g in free if not ignored[g]] or free
            if wanted:
                match = max(wanted, key=lambda g: (overlaps[d, g], g))
                taken.add(match)
                if not ignored[match]:
                    counted.append((float(seen.scores[mine[d]]), True))
            elif least <= area <= most and label not in image.not_exhaustive:
                counted.append((float(seen.scores[mine[d]]), False))
    return _interpolated(counted, objects)


def _interpolated(counted: list[tuple[float, bool]], objects: int) -> float:
    if objects == 0:
        return float("nan")
    right = np.array([right for _, right in sorted(counted, key=lambda each: -each[0])], bool)
    hits = np.cumsum(right)
    recall, precision = hits / objects, hits / np.maximum(np.arange(len(right)) + 1, 1)
    at = [precision[recall >= wanted].max(initial=0.0) for wanted in np.linspace(0, 1, 101)]
    return float(np.mean(at))


def _overlaps(
    image: GroundTruth, seen: Instances, there: list[int], mine: list[int], iou_type: IouType
) -> tuple[Overlaps, list[float]]:
    """IoU of my instances with the objects there, and the instances' areas."""
    if iou_type == "segm":
        masks = [bitmap(seen.masks[i]) for i in mine]
        others = [bitmap(mask) for i in there if (mask := image.objects[i].mask) is not None]
        pairs = [[(one & other).sum() / (one | other).sum() for other in others] for one in masks]
        return np.array(pairs).reshape(len(mine), len(there)), [float(mask.sum()) for mask in masks]
    boxes = [seen.boxes[i].astype(np.float64).tolist() for i in mine]
    pairs = [[_box_overlap(box, image.objects[i].bbox) for i in there] for box in boxes]
    return np.array(pairs).reshape(len(mine), len(there)), [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes]


def _box_overlap(box: list[float], bbox: tuple[float, float, float, float]) -> float:
    x, y, width, height = bbox
    across = max(min(box[2], x + width) - max(box[0], x), 0)
    down = max(min(box[3], y + height) - max(box[1], y), 0)
    return across * down / ((box[2] - box[0]) * (box[3] - box[1]) + width * height - across * down)


def test_what_is_found_of_a_class_that_nobody_looked_for_counts_neither_way() -> None:
    box = np.array([[10.0, 10, 50, 50]])
    thing = random_world(0, 20, NAMES)[0][1].objects["coco"][0]
    there = GroundTruth(1, 120, 160, (4,), (thing,))
    elsewhere = GroundTruth(2, 120, 160, (), ())
    x, y, width, height = thing.bbox
    right = instances(np.array([[x, y, x + width, y + height]]), np.array([4]), np.array([0.5]))
    wrong = instances(box, np.array([4]), np.array([0.9]))
    assert _ap([there, elsewhere], [right, wrong]) == pytest.approx(100)
    assert _ap([there, GroundTruth(2, 120, 160, (), (), frozenset({4}))], [right, wrong]) == pytest.approx(50)
    partly = GroundTruth(2, 120, 160, (), (), frozenset({4}), frozenset({4}))
    assert _ap([there, partly], [right, wrong]) == pytest.approx(100)


@pytest.mark.parametrize(("others", "expected"), [(299, 100), (300, 0)])
def test_the_300_best_detections_of_an_image_count_whatever_their_class(others: int, expected: int) -> None:
    """Those of classes that are not evaluated, or that nobody looked for in the image, among them."""
    thing = random_world(0, 20, NAMES)[0][1].objects["coco"][0]
    x, y, width, height = thing.bbox
    boxes = np.concatenate([random_boxes(np.random.default_rng(0), others), [[x, y, x + width, y + height]]])
    labels = np.append(np.arange(others) % 2 * 7, 4)
    many = Instances(boxes.astype(np.float32), labels, np.linspace(0.9, 0.1, others + 1, dtype=np.float32), [])
    assert _ap([GroundTruth(1, 120, 160, (4,), (thing,))], [many]) == pytest.approx(expected)


def test_nothing_found_is_0_and_a_class_without_objects_is_left_out() -> None:
    thing = random_world(0, 20, NAMES)[0][1].objects["coco"][0]
    nothing = Instances(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32), [])
    table = average_precision([GroundTruth(1, 120, 160, (4,), (thing,))], [nothing], "bbox", [3, 4], federated=True)
    assert table.by_class() == {3: None, 4: 0.0}


def test_the_best_known_mask_counts_for_masks() -> None:
    """Masks are measured on masks: a box that fits does not help a mask that does not."""
    thing = random_world(0, 20, NAMES)[0][1].objects["coco"][0]
    x, y, width, height = thing.bbox
    box = np.array([[x, y, x + width, y + height]], np.float32)
    elsewhere = ellipse(np.array([0.0, 0.0, 8.0, 8.0]))
    seen = Instances(box, np.array([4]), np.array([0.5], np.float32), [elsewhere])
    image = GroundTruth(1, 120, 160, (4,), (thing,))
    assert average_precision([image], [seen], "bbox", [4], federated=True).by_class()[4] == pytest.approx(100)
    assert average_precision([image], [seen], "segm", [4], federated=True).by_class()[4] == 0


def test_bins_are_by_training_images_of_the_source() -> None:
    labels = {"rare": 0, "often": 1, "common": 2, "common too": 2, "never": 3}
    often = [_row(["often", "common"] if i < 10 else ["often"], "train") for i in range(101)]
    rows = [*often, _row(["common too", "common", "not in the vocabulary"], "train"), _row(["never"] * 20, "val")]
    bins = frequency_bins(rows, "lvis", labels)
    assert bins == {"rare": {0, 3}, "common": {2}, "frequent": {1}}
    assert frequency_bins(rows[-1:], "lvis", labels) == {}
    assert frequency_bins(rows, "vg", labels) == {}


def _ap(ground_truth: list[GroundTruth], predictions: list[Instances]) -> float | None:
    return average_precision(ground_truth, predictions, "bbox", [4], federated=True).by_class()[4]


def _row(classes: list[str], split: str) -> IndexRow:
    return IndexRow(
        "key", split, "lvis", "shard", 0, 0, 0, 0, 160, 120, {"lvis": 1}, None, None, {"lvis": sorted(set(classes))}
    )
