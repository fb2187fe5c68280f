"""Detections that make no sense are named, not measured; images with nothing in them are fine."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from data_prep.format.records import Rle
from data_prep.storage.errors import DataError
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.metrics import measure
from maskx_model.evaluation.predictions import Predictions
from maskx_model.results.instances import Instances
from tests.maskx_model.synthetic import random_world

NAMES = ["cup", "dog", "hat"]
LABELS = {name: position for position, name in enumerate(NAMES)}


def world() -> tuple[list[GroundTruth], list[Instances]]:
    records, predictions = random_world(0, 4, NAMES)
    return [GroundTruth.of(record, "coco", LABELS) for record in records], predictions


def with_box(seen: Instances, box: list[float]) -> Instances:
    boxes = seen.boxes.copy()
    boxes[1] = box
    return replace(seen, boxes=boxes)


def with_label(seen: Instances, label: int) -> Instances:
    labels = seen.labels.copy()
    labels[1] = label
    return replace(seen, labels=labels)


def with_score(seen: Instances, score: float) -> Instances:
    scores = seen.scores.copy()
    scores[1] = score
    return replace(seen, scores=scores)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda seen: with_box(seen, [1, 2, float("nan"), 4]), "instance 1 of transfer: a box that is not finite"),
        (lambda seen: with_box(seen, [1, 2, float("inf"), 4]), "a box that is not finite"),
        (lambda seen: with_box(seen, [9, 2, 3, 4]), "a box that ends before it begins"),
        (lambda seen: with_score(seen, float("nan")), "a score that is not finite"),
        (lambda seen: with_label(seen, 3), "a label outside the vocabulary's 3 classes"),
        (lambda seen: with_label(seen, -1), "a label outside the vocabulary's 3 classes"),
        (
            lambda seen: replace(seen, masks=[Rle((2, 2), "4"), *seen.masks[1:]]),
            "instance 0 .* 2×2 pixels, not 120×",
        ),
        (lambda seen: replace(seen, masks=seen.masks[1:]), "scores, .* masks"),
        (lambda seen: replace(seen, scores=seen.scores[1:]), "boxes, .* labels"),
    ],
)
def test_what_is_no_detection_is_named(broken: Callable[[Instances], Instances], words: str) -> None:
    ground_truth, predictions = world()
    position = max(range(4), key=lambda i: len(predictions[i].labels))
    predictions[position] = broken(predictions[position])
    with pytest.raises(DataError, match=rf"image {ground_truth[position].image_id}, .*{words}"):
        measure(ground_truth, {"transfer": Predictions(predictions, predictions)}, {0, 1, 2}, {0}, NAMES, {})


def test_images_without_objects_or_without_detections_are_measured() -> None:
    ground_truth, predictions = world()
    empty = [GroundTruth(t.image_id, t.height, t.width, (), ()) for t in ground_truth]
    nothing = [Instances(f.boxes[:0], f.labels[:0], f.scores[:0], []) for f in predictions]
    for there, seen in ((ground_truth, nothing), (empty, predictions), (empty, nothing), ([], [])):
        result = measure(there, {"transfer": Predictions(seen, seen)}, {0, 1, 2}, {0}, NAMES, {})
        expected = {0.0, None} if there is ground_truth else {None}
        for numbers in (result.ap, result.ap_gt_boxes, result.box_ap):
            assert set(numbers["transfer"].values()) <= expected
        assert [c.objects for c in result.per_class] == [0, 0, 0] or there is ground_truth
