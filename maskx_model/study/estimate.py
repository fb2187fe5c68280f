"""From heads measured on held-out classes to an estimate of their AP on B."""

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import mean

import msgspec

from maskx_model.study.rows import ClassAP, Row
from maskx_model.study.spread import Spread, deviation
from maskx_model.study.teacher import TeacherFold
from maskx_model.study.variants import BASELINE


class Estimate(Spread, frozen=True):
    """AP, 0-100: mean and standard deviation over folds and seeds, and the estimate of AP on B.

    `error` is the estimate's: how far a fold is from what the other folds predict for it (root mean square, to scale);
    None where there is one fold only, or no fold has any AP.
    """

    on_b: float
    error: float | None


class VariantResult(msgspec.Struct, frozen=True):
    """A variant on held-out classes. `rows[i]`: AP on predicted boxes in each fold and seed, in their order.

    `margin`: how far it is above the class-agnostic head, mean of the differences fold by fold, and `margin_error`,
    that mean's standard error, to which more seeds of the same fold add no fold. `flagged`: not above it by more than
    this error, so maybe below it on B.
    """

    name: str
    predicted: Estimate
    given: Estimate
    margin: float
    margin_error: float
    flagged: bool
    rows: tuple[float, ...]


def results(rows: Mapping[str, Sequence[Row]], box_ap50: ClassAP, b: Sequence[int]) -> tuple[VariantResult, ...]:
    """Each variant's result, from its rows over folds and seeds (in the same order for all of them, the baseline among
    them), the box AP50 of all classes, and the classes of B.

    Mask AP on predicted boxes is bounded by the detector, which does not detect all classes equally well. So where box
    AP50 is known on B (it takes boxes alone), the estimate on B is B's box AP50 times the ratio of mask AP to box AP50
    on the held-out classes. At one low overlap box AP measures what is detected, not how well the boxes fit, which
    matters less to masks. Ground-truth boxes need no such correction.
    """
    baseline = _by_fold(rows[BASELINE])
    return tuple(_result(name, each, baseline, box_ap50, b) for name, each in rows.items())


def best(variants: Sequence[VariantResult]) -> VariantResult:
    """The best of the variants that are not flagged (the baseline never is), by the geometric mean of AP on predicted
    and on ground-truth boxes: the first is the goal, the second compares heads without the detector's noise."""
    return max((each for each in variants if not each.flagged), key=lambda each: each.predicted.mean * each.given.mean)


def _result(
    name: str, rows: Sequence[Row], baseline: Sequence[float], box_ap50: ClassAP, b: Sequence[int]
) -> VariantResult:
    by_fold = _by_fold(rows)
    differences = [own - other for own, other in zip(by_fold, baseline, strict=True)]
    error = deviation(differences) / math.sqrt(len(differences))
    return VariantResult(
        name=name,
        predicted=_estimate([row.ap for row in rows], box_ap50, b),
        given=_estimate([row.ap_gt_boxes for row in rows], {}, b),
        margin=mean(differences),
        margin_error=error,
        flagged=name != BASELINE and mean(differences) <= error,
        rows=tuple(mean(row.ap.values()) for row in rows),
    )


def _by_fold(rows: Sequence[Row]) -> list[float]:
    """AP of each fold, the mean over seeds."""
    folds = dict.fromkeys(frozenset(row.ap) for row in rows)
    return [mean(mean(row.ap.values()) for row in rows if row.ap.keys() == fold) for fold in folds]


def _estimate(rows: Sequence[ClassAP], box_ap50: ClassAP, b: Collection[int]) -> Estimate:
    """`box_ap50` is empty for ground-truth boxes."""
    means = [mean(ap.values()) for ap in rows]
    on_b = _predicted_mean(rows, box_ap50, b)
    return Estimate(mean(means), deviation(means), on_b, _error(rows, box_ap50, on_b))


def _predicted_mean(rows: Sequence[ClassAP], box_ap50: ClassAP, classes: Collection[int]) -> float:
    """The mean AP that the rows predict for other classes."""
    boxes = [box_ap50[label] for label in classes if label in box_ap50]
    held_out = [box_ap50.get(label, 0.0) for ap in rows for label in ap]
    if not boxes or not sum(held_out):
        return mean(mean(ap.values()) for ap in rows)
    return mean(boxes) * sum(value for ap in rows for value in ap.values()) / sum(held_out)


def _error(rows: Sequence[ClassAP], box_ap50: ClassAP, on_b: float) -> float | None:
    folds = {frozenset(ap) for ap in rows}
    if len(folds) < 2:
        return None
    own = [mean(mean(ap.values()) for ap in rows if ap.keys() == fold) for fold in folds]
    if not sum(own):
        return None
    predicted = [_predicted_mean([ap for ap in rows if ap.keys() != fold], box_ap50, fold) for fold in folds]
    return on_b * math.dist(own, predicted) / math.sqrt(len(folds)) / mean(own)


class Holdout(msgspec.Struct, frozen=True):
    """`holdout.json`. `box_ap50`: mean box AP50 on the classes held out and on B (None where the split has no boxes of
    B's classes that AP is defined on); `folds`: class names; `picked`: the variant to train on all of A; `teacher`: the
    picked variant beside another source of masks, fold by fold."""

    variants: tuple[VariantResult, ...]
    picked: str
    box_ap50: dict[str, float | None]
    folds: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    made_from: dict[str, str]
    teacher: tuple[TeacherFold, ...] = ()
