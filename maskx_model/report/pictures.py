"""Which images a report shows, and each as panels side by side: what is there, and what each model found."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pycocotools import mask as coco_mask

from data_prep.format.rle import coco_object, encode_bitmap
from data_prep.pages.drawing import Picture
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import Predictions
from maskx_model.results.drawing import SMALLEST_LONG_EDGE, draw_instances
from maskx_model.results.instances import Instances

MIN_SCORE = 0.5
MOST_SHOWN = 10
FALLBACK = 3
LARGEST_PANEL = 640
"""Longer side of a panel at most, pixels."""

Reason = Literal["gain", "random", "failure"]


@dataclass(frozen=True)
class Choice:
    """An image to show: its position among those measured on, and why it was picked, in words."""

    position: int
    reason: Reason
    caption: str


@dataclass(frozen=True)
class Panel:
    """A picture, uint8[H, W, 3], with what it shows in words."""

    title: str
    picture: Picture
    note: str = ""


@dataclass(frozen=True)
class _Photograph:
    """How well the shown masks cover the objects of an image (mean IoU, 0..1): all of them and those of B by the
    model, those of B by the baseline. None where it has no such object."""

    position: int
    order: bytes
    everything: float | None
    on_b: float | None
    baseline: float | None

    @property
    def gain(self) -> float:
        return 0.0 if self.on_b is None else self.on_b - (self.baseline or 0.0)


def choose(
    keys: Sequence[str],
    truths: Sequence[GroundTruth],
    found: Mapping[str, Predictions],
    in_a: Collection[int],
    each: int = 4,
) -> list[Choice]:
    """Up to `each` of the largest gains on B, of random picks and of failures: the same ones for the same input.

    The last kind in `found` is the model in question, the first the baseline, if there are two. An object is covered
    as well as the shown mask of its class that fits it best. Images without any mask to compare are left out.
    """
    photographs = [_rated(i, key, truths[i], found, in_a) for i, key in enumerate(keys)]
    left = sorted((p for p in photographs if p.everything is not None), key=lambda p: p.order)
    best = [p for p in sorted(left, key=lambda p: -p.gain)[:each] if p.gain > 0]
    left = [p for p in left if p not in best]
    random, left = left[:each], left[each:]
    worst = sorted(left, key=lambda p: p.everything or 0.0)[:each]
    return [
        *(Choice(p.position, "gain", _gain_caption(p, list(found))) for p in best),
        *(Choice(p.position, "random", f"Overlap on all its objects: {p.everything:.0%}.") for p in random),
        *(Choice(p.position, "failure", f"Overlap on all its objects: {p.everything:.0%}.") for p in worst),
    ]


def named(kind: str) -> str:
    """A kind of model as people write it: `class-agnostic`."""
    return kind.replace("_", "-")


def panels(
    image: Picture, truth: GroundTruth, seen: Mapping[str, Instances], names: Sequence[str], in_a: Collection[int]
) -> list[Panel]:
    """The image (uint8[H, W, 3], RGB) with its ground truth, then with what each kind of model found."""
    edge = min(max(*image.shape[:2], SMALLEST_LONG_EDGE), LARGEST_PANEL)
    there = draw_instances(image, _as_instances(truth), names, in_a, long_edge=edge, show_scores=False)
    drawn = [Panel("ground truth", there)]
    for kind, instances in seen.items():
        kept = shown(instances)
        note = ""
        if len(kept.scores) == 0:
            note = "nothing found"
        elif kept.scores[0] < MIN_SCORE:
            note = f"no score reaches {MIN_SCORE}; the best {len(kept.scores)} are drawn"
        drawn.append(Panel(named(kind), draw_instances(image, kept, names, in_a, 0.0, long_edge=edge), note))
    return drawn


def shown(instances: Instances) -> Instances:
    """What a picture shows: the ten best with a score of at least 0.5, or the three best where none has that."""
    confident = int((instances.scores >= MIN_SCORE).sum())
    last = min(confident, MOST_SHOWN) if confident else FALLBACK
    return Instances(instances.boxes[:last], instances.labels[:last], instances.scores[:last], instances.masks[:last])


def _rated(
    position: int, key: str, truth: GroundTruth, found: Mapping[str, Predictions], in_a: Collection[int]
) -> _Photograph:
    kinds = list(found)
    baseline, model = kinds[0], kinds[-1]
    order = hashlib.sha256(f"pictures {key}".encode()).digest()
    of_model = _overlaps(truth, shown(found[model].on_predicted_boxes[position]))
    on_b = [overlap for label, overlap in of_model if label not in in_a]
    of_baseline = _overlaps(truth, shown(found[baseline].on_predicted_boxes[position])) if baseline != model else []
    before = [overlap for label, overlap in of_baseline if label not in in_a]
    return _Photograph(position, order, _mean([overlap for _, overlap in of_model]), _mean(on_b), _mean(before))


def _overlaps(truth: GroundTruth, instances: Instances) -> list[tuple[int, float]]:
    """(label, best IoU with an instance of that label) of each object that has a mask; crowds are left out."""
    overlaps = []
    for label, thing in zip(truth.labels, truth.objects, strict=True):
        if thing.mask is None or thing.iscrowd:
            continue
        candidates = [coco_object(instances.masks[i]) for i in np.flatnonzero(instances.labels == label)]
        best = float(coco_mask.iou(candidates, [coco_object(thing.mask)], [0]).max()) if candidates else 0.0
        overlaps.append((label, best))
    return overlaps


def _as_instances(truth: GroundTruth) -> Instances:
    """The objects without the crowds, the smallest first, so that they are drawn on top."""
    things = [(label, o) for label, o in zip(truth.labels, truth.objects, strict=True) if not o.iscrowd]
    things.sort(key=lambda thing: thing[1].area)
    boxes = [(x, y, x + w, y + h) for _, o in things for x, y, w, h in [o.bbox]]
    empty = encode_bitmap(np.zeros((truth.height, truth.width), np.bool_))
    masks = [o.mask or empty for _, o in things]
    labels = np.array([label for label, _ in things], dtype=np.int64)
    return Instances(np.array(boxes, np.float32).reshape(-1, 4), labels, np.ones(len(things), np.float32), masks)


def _gain_caption(photograph: _Photograph, kinds: Sequence[str]) -> str:
    if len(kinds) == 1:
        return f"Overlap on its objects of B: {photograph.on_b:.0%}."
    before, now = f"{photograph.baseline:.0%} {named(kinds[0])}", f"{photograph.on_b:.0%} {named(kinds[-1])}"
    return f"Overlap on its objects of B: {before}, {now}."


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
