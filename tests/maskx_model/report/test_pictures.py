"""Which images a report shows: those that convince, random ones, failures, each with the reason in words."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from data_prep.format.records import Annotation
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import Predictions
from maskx_model.report.match import drawn, match
from maskx_model.report.pictures import Choice, choose, panels
from maskx_model.results.instances import Instances
from tests.maskx_model.synthetic import HEIGHT, WIDTH, ellipse, instances, random_world

A, B, OTHER = 0, 1, 2
NAMES = ["cup", "kite", "elsewhere"]
EVALUATED = (A, B)
BOX, OVERLAPPING, APART = (20, 20, 80, 80), (50, 40, 110, 100), (100, 90, 150, 118)
Box = tuple[int, int, int, int]
World = tuple[list[str], list[GroundTruth], dict[str, Predictions]]


def ground_truth_of(*objects: tuple[int, Box], number: int = 1, crowd: bool = False) -> GroundTruth:
    """An image with elliptic objects, each a label and a box (x1, y1, x2, y2)."""
    annotations = tuple(
        Annotation(i, NAMES[label], (x1, y1, x2 - x1, y2 - y1), 100.0, int(crowd), ellipse(as_array((x1, y1, x2, y2))))
        for i, (label, (x1, y1, x2, y2)) in enumerate(objects)
    )
    return GroundTruth(number, HEIGHT, WIDTH, tuple(label for label, _ in objects), annotations)


def detections(*found: tuple[int, Box, float]) -> Instances:
    """Elliptic detections, each a label, a box and a score."""
    boxes = np.array([box for _, box, _ in found], np.float64).reshape(-1, 4)
    return instances(boxes, np.array([f[0] for f in found], np.int64), np.array([f[2] for f in found], np.float64))


def as_array(box: Box) -> npt.NDArray[np.float64]:
    return np.array(box, np.float64)


def chosen(ground_truth: list[GroundTruth], model: list[Instances], each: int = 3, start: str = "coco") -> list[Choice]:
    keys = [f"{start}-{i}" for i in range(len(ground_truth))]
    return choose(keys, ground_truth, {"transfer": Predictions(model, model)}, {A}, EVALUATED, each)


@pytest.fixture(scope="module")
def world() -> World:
    """Thirty images, with a baseline that detects nothing at all beside a mediocre model."""
    records, found = random_world(0, 30, NAMES)
    ground_truth = [GroundTruth.of(record, "coco", {name: i for i, name in enumerate(NAMES)}) for record in records]
    nothing = [detections() for _ in found]
    models = {"class_agnostic": Predictions(nothing, nothing), "transfer": Predictions(found, found)}
    return [record.key for record in records], ground_truth, models


def test_a_detection_is_right_by_class_score_and_mask() -> None:
    annotated = ground_truth_of((A, BOX), (B, APART))
    found = match(annotated, detections((A, BOX, 0.9), (B, (98, 88, 150, 118), 0.6)), EVALUATED)
    assert [(each.label, round(each.score, 2)) for each in found.right] == [(A, 0.9), (B, 0.6)]
    assert found.right[0].iou == 1 and 0.5 < found.right[1].iou < 1
    assert (found.objects, found.wrong) == (2, 0)
    for wrong in ((B, BOX, 0.9), (A, APART, 0.9), (A, BOX, 0.4)):
        found = match(annotated, detections(wrong), EVALUATED)
        assert (found.right, found.wrong) == ((), 1)


def test_an_object_is_matched_once_and_by_the_highest_score() -> None:
    found = match(ground_truth_of((A, BOX)), detections((A, BOX, 0.7), (A, BOX, 0.9)), EVALUATED)
    assert len(found.right) == 1 and found.right[0].score == pytest.approx(0.9)
    assert found.wrong == 1


def test_quality_falls_with_score_with_iou_with_missed_objects_and_with_wrong_detections() -> None:
    annotated = ground_truth_of((A, BOX))
    best = match(annotated, detections((A, BOX, 0.9)), EVALUATED).quality
    assert best == pytest.approx(0.9)
    for worse in (
        match(annotated, detections((A, BOX, 0.6)), EVALUATED),
        match(annotated, detections((A, (20, 20, 70, 80), 0.9)), EVALUATED),
        match(annotated, detections((A, BOX, 0.9), (B, APART, 0.8)), EVALUATED),
        match(ground_truth_of((A, BOX), (B, APART)), detections((A, BOX, 0.9)), EVALUATED),
    ):
        assert 0 < worse.quality < best
    assert match(annotated, detections(), EVALUATED).quality == 0


def test_what_cannot_be_judged_is_not_wrong() -> None:
    elsewhere = match(ground_truth_of((A, BOX)), detections((OTHER, BOX, 0.9)), EVALUATED)
    on_crowd = match(ground_truth_of((A, BOX), crowd=True), detections((A, APART, 0.9)), EVALUATED)
    assert on_crowd.objects == 0
    partly = replace(ground_truth_of((A, BOX)), not_exhaustive=frozenset({B}))
    unknown = match(partly, detections((B, APART, 0.9)), EVALUATED)
    for each in (elsewhere, on_crowd, unknown):
        assert (each.wrong, each.unjudged) == (0, 1)


def test_a_wrong_name_weighs_more_than_a_missed_object() -> None:
    """One of a class that is not evaluated is a wrong name only where it lies on an object of another class."""
    both = ground_truth_of((A, BOX), (B, OVERLAPPING))
    found = [(A, BOX, 0.9), (B, OVERLAPPING, 0.9)]
    more = (A, APART, 0.8), (OTHER, BOX, 0.8), (OTHER, APART, 0.8)
    whole, missed = (match(both, detections(*some), EVALUATED) for some in (found, found[:1]))
    wrong, contrary, elsewhere = (match(both, detections(*found, one), EVALUATED) for one in more)
    assert (contrary.wrong, contrary.contrary, elsewhere.contrary) == (0, 1, 0)
    assert whole.quality == elsewhere.quality > missed.quality > wrong.quality == contrary.quality > 0


def test_the_first_images_convince_and_come_in_the_order_of_their_quality() -> None:
    """Objects that overlap, one of B among them, both right; then one of A alone, however good; never a wrong one."""
    both, alone = ground_truth_of((A, BOX), (B, OVERLAPPING)), ground_truth_of((A, BOX))
    ground_truth = [alone, both, both, both, both]
    model = [
        detections((A, BOX, 1.0)),
        detections((A, BOX, 0.6), (B, OVERLAPPING, 0.6)),
        detections((A, BOX, 0.9), (B, OVERLAPPING, 0.9)),
        detections((A, BOX, 0.4), (B, OVERLAPPING, 0.4)),
        detections((B, BOX, 0.9), (A, OVERLAPPING, 0.9)),
    ]
    # These fill the random group, which is chosen first, by the keys.
    rest = [ground_truth_of((A, BOX)) for _ in range(60)]
    choices = chosen(ground_truth + rest, model + [detections((A, APART, 0.9)) for _ in rest])
    best = [c for c in choices if c.reason == "best"]
    taken = {c.position for c in choices if c.reason == "random"}
    assert [c.position for c in best] == [i for i in (2, 1, 0) if i not in taken]
    assert best and choices[: len(best)] == best
    assert best[0].caption == "2 of 2 objects right (scores 0.90 to 0.90, mean mask IoU 1.00); 0 wrong detections."


def test_without_a_right_detection_nothing_is_said_to_be_done_well() -> None:
    ground_truth = [ground_truth_of((A, BOX), (B, OVERLAPPING)) for _ in range(8)]
    choices = chosen(ground_truth, [detections((A, BOX, 0.49), (B, OVERLAPPING, 0.3)) for _ in ground_truth])
    assert [c.reason for c in choices] == ["random"] * 3 + ["failure"] * 3
    assert {c.caption for c in choices} == {"0 of 2 objects right; 2 wrong detections."}


def test_images_are_best_gains_random_ones_and_failures_each_once(world: World) -> None:
    choices = choose(*world, {A}, (A, B, OTHER))
    assert [c.reason for c in choices] == ["best"] * 3 + ["gain"] * 3 + ["random"] * 3 + ["failure"] * 3
    assert len({c.position for c in choices}) == 12
    assert choices == choose(*world, {A}, (A, B, OTHER))
    gains = [c.caption for c in choices if c.reason == "gain"]
    assert all(
        caption.startswith("Mean mask IoU on objects of B: class-agnostic 0.00, transfer 0.") for caption in gains
    )


def test_which_images_are_random_does_not_depend_on_the_model(world: World) -> None:
    keys, ground_truth, models = world
    groups = []
    for found in models.values():
        choices = choose(keys, ground_truth, {"transfer": found}, {A}, (A, B, OTHER))
        groups.append([c.position for c in choices if c.reason == "random"])
    assert groups[0] == groups[1] and len(groups[0]) == 3


def test_images_without_objects_are_not_chosen() -> None:
    assert chosen([ground_truth_of(), ground_truth_of((A, BOX), crowd=True)], [detections((A, BOX, 0.9))] * 2) == []


def test_ten_confident_instances_are_drawn_or_else_the_three_best_with_a_note() -> None:
    many = detections(*[(A, BOX, 0.9)] * 12)
    unsure = replace(many, scores=many.scores * np.float32(0.2))
    assert len(drawn(many).scores) == 10
    assert len(drawn(unsure).scores) == 3
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    predicted = {"transfer": unsure, "class_agnostic": detections()}
    notes = [panel.note for panel in panels(image, ground_truth_of((A, BOX)), predicted, NAMES, {A})]
    assert notes == ["", "no score reaches 0.5; the best 3 are drawn", "no detections"]
