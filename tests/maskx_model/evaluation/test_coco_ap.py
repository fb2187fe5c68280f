"""AP equals the reference implementation's, and says None rather than a number where there is nothing to measure."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_prep.format.records import Annotation, Record
from maskx_model.evaluation.coco_ap import METRICS, IouType, average_precision
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.results.instances import Instances
from tests.maskx_model.synthetic import ellipse, instances, random_boxes, random_world

NAMES = [f"class {i}" for i in range(7)]
LABELS = {name: position for position, name in enumerate(NAMES)}
EMPTY = Instances(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32), [])


def ground_truth_of(records: list[Record]) -> list[GroundTruth]:
    return [GroundTruth.of(record, "coco", LABELS) for record in records]


def reference(
    records: list[Record],
    predictions: list[Instances],
    iou_type: IouType,
    classes: Sequence[int],
    names: list[str] = NAMES,
) -> COCOeval:
    """pycocotools' run on those classes alone, from documents written out by hand."""
    labels = {name: position for position, name in enumerate(names)}
    annotated = COCO()
    annotated.dataset = {
        "images": [{"id": r.ids["coco"], "height": r.height, "width": r.width} for r in records],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {**msgspec.to_builtins(o), "iscrowd": o.iscrowd, "segmentation": msgspec.to_builtins(o.mask)}
            | {"bbox": list(o.bbox), "image_id": r.ids["coco"], "category_id": labels[o.category] + 1}
            for r in records
            for o in r.objects["coco"]
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        annotated.createIndex()
    results: list[dict[str, Any]] = []
    for record, seen in zip(records, predictions, strict=True):
        for box, label, score, mask in zip(seen.boxes.tolist(), seen.labels, seen.scores, seen.masks, strict=True):
            result = {"image_id": record.ids["coco"], "category_id": int(label) + 1, "score": float(score)}
            shape = {"bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
            results.append(result | (shape if iou_type == "bbox" else {"segmentation": msgspec.to_builtins(mask)}))
    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(annotated, annotated.loadRes(results), iou_type)
        run.params.catIds = [c + 1 for c in classes]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(3))
def test_a_b_and_all_of_one_run_equal_separate_runs_of_pycocotools(iou_type: IouType, seed: int) -> None:
    records, predictions = random_world(seed, 30, NAMES)
    table = average_precision(ground_truth_of(records), predictions, iou_type, range(len(NAMES)))
    for classes in ([0, 1, 2], [3, 4, 5, 6], list(range(7))):
        expected = reference(records, predictions, iou_type, classes).stats[:6]
        measured = table.mean(classes)
        for metric, number in zip(METRICS, expected, strict=True):
            assert (-1 if measured[metric] is None else measured[metric] / 100) == pytest.approx(number, abs=1e-9)  # type: ignore[operator]


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_every_one_of_many_classes_equals_pycocotools(iou_type: IouType) -> None:
    names = [f"class {i}" for i in range(200)]
    records, predictions = random_world(7, 60, names)
    ground_truth = [GroundTruth.of(record, "coco", {name: i for i, name in enumerate(names)}) for record in records]
    table = average_precision(ground_truth, predictions, iou_type, range(200))
    precision = reference(records, predictions, iou_type, range(200), names).eval["precision"][..., 0, 2]
    expected = precision.mean(axis=(0, 1))
    assert (expected > 0).sum() > 20
    assert (expected == -1).sum() > 20
    for position, ap in table.by_class().items():
        assert (-1 if ap is None else ap / 100) == pytest.approx(expected[position], abs=1e-9)


def test_perfect_instances_reach_100_and_nothing_found_is_0() -> None:
    records, _ = random_world(3, 10, NAMES)
    ground_truth = ground_truth_of(records)
    perfect = []
    for annotated in ground_truth:
        real = [(label, o) for label, o in zip(annotated.labels, annotated.objects, strict=True) if not o.iscrowd]
        boxes = np.array([[x, y, x + w, y + h] for _, o in real for x, y, w, h in [o.bbox]], np.float32)
        labels = np.array([label for label, _ in real], np.int64)
        masks = [o.mask for _, o in real if o.mask is not None]
        perfect.append(Instances(boxes.reshape(-1, 4), labels, np.ones(len(real), np.float32), masks))
    for iou_type in ("bbox", "segm"):
        assert average_precision(ground_truth, perfect, iou_type, LABELS.values()).mean()["AP"] == pytest.approx(100)
        assert average_precision(ground_truth, [EMPTY] * 10, iou_type, LABELS.values()).mean()["AP"] == 0


def test_a_class_without_objects_is_left_out_of_the_mean() -> None:
    record = _image_record(_thing("class 0"))
    table = average_precision([GroundTruth.of(record, "coco", LABELS)], [EMPTY], "segm", [0, 1])
    assert table.by_class() == {0: 0.0, 1: None}
    assert table.mean()["AP"] == 0.0
    assert table.mean([1])["AP"] is None
    assert table.mean([])["AP"] is None


def test_no_objects_at_all_is_none() -> None:
    assert (
        average_precision([GroundTruth.of(_image_record(), "coco", LABELS)], [EMPTY], "bbox", [0]).mean()["AP"] is None
    )
    assert average_precision([], [], "bbox", []).mean()["AP"] is None


def test_an_object_without_a_mask_counts_for_boxes_and_is_ignored_for_masks() -> None:
    boxed = msgspec.structs.replace(_thing("class 0"), id=2, bbox=(100.0, 10.0, 40.0, 40.0), mask=None)
    annotated = GroundTruth.of(_image_record(_thing("class 0"), boxed), "coco", LABELS)
    both = np.array([[10, 10, 50, 50], [100, 10, 140, 50]], np.float64)
    seen = instances(both, np.zeros(2, np.int64), np.array([0.5, 0.9]))
    assert average_precision([annotated], [seen], "segm", [0]).by_class()[0] == pytest.approx(100)
    second = instances(both[1:], np.zeros(1, np.int64), np.array([0.9]))
    assert average_precision([annotated], [second], "bbox", [0]).by_class()[0] == pytest.approx(50, abs=1)


def test_objects_of_other_classes_and_sources_are_not_evaluated() -> None:
    record = _image_record(_thing("class 0"), _thing("something else"))
    assert GroundTruth.of(record, "coco", {"class 0": 4}).labels == (4,)
    other = msgspec.structs.replace(record, ids={"coco": 1, "vg": 2}, objects={"vg": [_thing("class 0")]})
    assert GroundTruth.of(other, "coco", LABELS).objects == ()


def test_boxes_beyond_the_hundredth_of_a_class_do_not_count() -> None:
    record = _image_record(_thing("class 0"))
    boxes = random_boxes(np.random.default_rng(0), 101)
    boxes[100] = [10, 10, 50, 50]
    seen = instances(boxes, np.zeros(101, np.int64), np.linspace(1, 0.1, 101))
    assert average_precision([GroundTruth.of(record, "coco", LABELS)], [seen], "bbox", [0]).by_class()[0] < 100  # type: ignore[operator]


def _thing(name: str) -> Annotation:
    return Annotation(1, name, (10.0, 10.0, 40.0, 40.0), 1250.0, 0, ellipse(np.array([10.0, 10.0, 50.0, 50.0])))


def _image_record(*objects: Annotation) -> Record:
    return Record("coco-000000000001", 160, 120, {"coco": 1}, {"coco": list(objects)})
