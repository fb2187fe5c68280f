"""Choose the images that a report shows, and draw each as panels: ground truth, and each model's output."""

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from data_prep.format.rle import encode_bitmap
from data_prep.pages.drawing import Picture
from maskx_model.evaluation.ground_truth import GroundTruth
from maskx_model.evaluation.predictions import Predictions
from maskx_model.report.match import MIN_SCORE, Match, drawn, match
from maskx_model.results.drawing import SMALLEST_LONG_EDGE, draw_instances
from maskx_model.results.instances import Instances

LARGEST_PANEL = 640
"""Longer side of a panel at most, pixels."""

Reason = Literal["best", "gain", "random", "failure"]


@dataclass(frozen=True)
class Choice:
    """An image to show: its position among the measured images, and why it was chosen, in words."""

    position: int
    reason: Reason
    caption: str


@dataclass(frozen=True)
class Panel:
    """A drawn image, uint8[H, W, 3], with its title and a note."""

    title: str
    picture: Picture
    note: str = ""


@dataclass(frozen=True)
class _Candidate:
    """An image to choose from: the model's match, mean mask IoU on its objects of B by model and baseline (None without
    such an object), and whether it shows a right detection of B and objects that overlap, as far as there can be."""

    position: int
    match: Match
    on_b: float | None
    baseline_on_b: float | None
    convincing: bool

    @property
    def gain(self) -> float:
        return 0.0 if self.on_b is None else self.on_b - (self.baseline_on_b or 0.0)


def choose(
    keys: Sequence[str],
    ground_truth: Sequence[GroundTruth],
    predictions: Mapping[str, Predictions],
    mask_classes: Collection[int],
    evaluated: Collection[int],
    each: int = 3,
) -> list[Choice]:
    """Choose up to `each` images where the model does best, gains most on B over the baseline, at random, and where it
    fails: the same ones for the same input.

    The last kind in `predictions` is the model, the first the baseline if there are two. The random ones are chosen
    first and by their keys alone, so that no model decides which they are. The best have the highest `Match.quality`,
    and a right detection at least; among them come first those with overlapping objects and a right detection of B.
    Images without an object with a mask are not chosen.
    """
    candidates = [_candidate(i, ground_truth[i], predictions, mask_classes, evaluated) for i in range(len(keys))]
    order = sorted((c for c in candidates if c.match.objects), key=lambda c: _shuffled(keys[c.position]))
    random, left = order[:each], order[each:]
    best = sorted((c for c in left if c.match.right), key=lambda c: (not c.convincing, -c.match.quality))[:each]
    left = [c for c in left if c not in best]
    gain = sorted((c for c in left if c.gain > 0), key=lambda c: -c.gain)[:each] if len(predictions) > 1 else []
    left = [c for c in left if c not in gain]
    worst = sorted(left, key=lambda c: (c.match.quality, c.match.mean_iou() or 0.0))[:each]
    return [
        *(Choice(c.position, "best", _caption(c.match)) for c in best),
        *(Choice(c.position, "gain", _gain_caption(c, list(predictions))) for c in gain),
        *(Choice(c.position, "random", _caption(c.match)) for c in random),
        *(Choice(c.position, "failure", _caption(c.match)) for c in worst),
    ]


def named(kind: str) -> str:
    """The name of a kind of model in text: `class-agnostic`."""
    return kind.replace("_", "-")


def panels(
    image: Picture,
    ground_truth: GroundTruth,
    predicted: Mapping[str, Instances],
    names: Sequence[str],
    mask_classes: Collection[int],
) -> list[Panel]:
    """Draw the image (uint8[H, W, 3], RGB) with its ground truth, then with the predictions of each kind of model."""
    edge = min(max(*image.shape[:2], SMALLEST_LONG_EDGE), LARGEST_PANEL)
    objects = draw_instances(image, _as_instances(ground_truth), names, mask_classes, long_edge=edge, show_scores=False)
    together = [Panel("ground truth", objects)]
    for kind, instances in predicted.items():
        shown = drawn(instances)
        note = ""
        if len(shown.scores) == 0:
            note = "no detections"
        elif shown.scores[0] < MIN_SCORE:
            note = f"no score reaches {MIN_SCORE}; the best {len(shown.scores)} are drawn"
        together.append(
            Panel(named(kind), draw_instances(image, shown, names, mask_classes, 0.0, long_edge=edge), note)
        )
    return together


def _shuffled(key: str) -> bytes:
    return hashlib.sha256(f"pictures {key}".encode()).digest()


def _candidate(
    position: int,
    ground_truth: GroundTruth,
    predictions: Mapping[str, Predictions],
    mask_classes: Collection[int],
    evaluated: Collection[int],
) -> _Candidate:
    matches = [match(ground_truth, each.on_predicted_boxes[position], evaluated) for each in predictions.values()]
    baseline, model = matches[0], matches[-1]
    of_b = any(each.label not in mask_classes for each in model.right) or not set(evaluated) - set(mask_classes)
    return _Candidate(
        position,
        model,
        model.mean_iou(mask_classes),
        baseline.mean_iou(mask_classes),
        of_b and _overlapping(ground_truth),
    )


def _overlapping(ground_truth: GroundTruth) -> bool:
    """Whether the boxes of two objects overlap."""
    boxes = [(x, y, x + w, y + h) for each in ground_truth.objects if not each.iscrowd for x, y, w, h in [each.bbox]]
    return any(
        max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])
        for a, b in itertools.combinations(boxes, 2)
    )


def _as_instances(ground_truth: GroundTruth) -> Instances:
    """The objects without the crowds, the smallest first, so that they are drawn on top."""
    things = [(label, o) for label, o in zip(ground_truth.labels, ground_truth.objects, strict=True) if not o.iscrowd]
    things.sort(key=lambda thing: thing[1].area)
    boxes = [(x, y, x + w, y + h) for _, o in things for x, y, w, h in [o.bbox]]
    empty = encode_bitmap(np.zeros((ground_truth.height, ground_truth.width), np.bool_))
    masks = [o.mask or empty for _, o in things]
    labels = np.array([label for label, _ in things], dtype=np.int64)
    return Instances(np.array(boxes, np.float32).reshape(-1, 4), labels, np.ones(len(things), np.float32), masks)


def _caption(matched: Match) -> str:
    """How many objects were found, in words, with scores, IoU, wrong detections and those that cannot be judged."""
    text = f"{len(matched.right)} of {matched.objects} object{'' if matched.objects == 1 else 's'} right"
    if matched.right:
        scores = sorted(each.score for each in matched.right)
        between = f"score {scores[0]:.2f}" if len(scores) == 1 else f"scores {scores[0]:.2f} to {scores[-1]:.2f}"
        text += f" ({between}, mean mask IoU {sum(each.iou for each in matched.right) / len(scores):.2f})"
    text += f"; {matched.wrong} wrong detection{'' if matched.wrong == 1 else 's'}"
    if matched.unjudged:
        text += f", {matched.unjudged} of {'a class' if matched.unjudged == 1 else 'classes'} not fully annotated here"
    return f"{text}."


def _gain_caption(candidate: _Candidate, kinds: Sequence[str]) -> str:
    before, after = candidate.baseline_on_b or 0.0, candidate.on_b or 0.0
    return f"Mean mask IoU on objects of B: {named(kinds[0])} {before:.2f}, {named(kinds[-1])} {after:.2f}."
