"""Render the report of an evaluation: one HTML page that contains its images and plots and loads nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_prep.format.manifest import Manifest
from data_prep.format.vocabulary import Vocabulary
from data_prep.pages.html import counts_table, page_environment, svg_uri
from data_prep.pages.plots import class_frequencies
from maskx_model.evaluation.coco_ap import METRICS
from maskx_model.evaluation.metrics import MEASURES, Evaluation
from maskx_model.evaluation.protocols import COMMON, RARE
from maskx_model.report.curves import training_curves
from maskx_model.report.pictures import Panel, Reason, named

FEW_IMAGES = 1000
"""With fewer images than this the page says that its numbers are not comparable with published ones."""


@dataclass(frozen=True)
class Shown:
    """An image of the report: its key, its license as the source names it, why it was chosen, and its panels."""

    key: str
    license: str | None
    reason: Reason
    caption: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Report:
    """The content of the page. `mask_classes`: positions of A's classes; `curves`: stages by name with the lines of
    their `metrics.jsonl`; `pictures`: in the order shown."""

    evaluation: Evaluation
    vocabulary: Vocabulary
    mask_classes: frozenset[int]
    manifest: Manifest
    curves: Sequence[tuple[str, bytes]]
    pictures: Sequence[Shown]


def render(report: Report) -> str:
    """Render the page as HTML; all text from data is escaped."""
    environment = page_environment("maskx_model.report")
    environment.filters["named"] = named
    environment.filters["points"] = lambda ap: "–" if ap is None else f"{ap:.1f}"
    environment.filters["signed"] = lambda ap: "–" if ap is None else f"{ap:+.1f}"
    evaluation = report.evaluation
    headline = evaluation.ap or evaluation.box_ap
    points = [ap for sets in headline.values() for ap in sets.values() if ap is not None]
    return environment.get_template("report.html.j2").render(
        report=report,
        evaluation=evaluation,
        kinds=list(headline),
        headline=headline,
        federated=evaluation.known_absent is not None,
        sides=_sides(evaluation),
        binned=any(c.frequency for c in evaluation.per_class),
        measures=MEASURES,
        metrics=METRICS,
        shared_boxes=len(evaluation.box_ap) > 1 and len({str(sets) for sets in evaluation.box_ap.values()}) == 1,
        few=evaluation.images < FEW_IMAGES,
        empty=sum(c.objects == 0 for c in evaluation.per_class),
        without_masks=sum(c.objects > 0 and set(c.ap.values()) == {None} for c in evaluation.per_class),
        top=max(points, default=0.0),
        gains={c.position: _gain(c.ap) for c in evaluation.per_class},
        margin={name: _gain({kind: sets[name] for kind, sets in evaluation.ap.items()}) for name in ("A", "B", "all")},
        curves=[(name, svg_uri(curve)) for name, lines in report.curves if (curve := training_curves(lines))],
        frequencies=svg_uri(class_frequencies(report.vocabulary, report.mask_classes)),
        counts=counts_table(report.manifest),
    )


def _sides(evaluation: Evaluation) -> dict[str, tuple[int, str, str]]:
    """The sets of classes that the page compares: number of classes, title, and definition. Without a class with masks
    in training there is neither A nor B."""
    members = [c.set for c in evaluation.per_class] + [c.frequency for c in evaluation.per_class]
    words = {
        "B": ("On B", "boxes only in training"),
        "A": ("On A", "with masks in training"),
        "all": ("On all", "A and B together" if "A" in members else "whatever their frequency"),
        "rare": ("Rare", f"in at most {RARE} training images"),
        "common": ("Common", f"in at most {COMMON} training images"),
        "frequent": ("Frequent", f"in more than {COMMON} training images"),
    }
    sizes = {name: members.count(name) for name in words} | {"all": len(evaluation.per_class)}
    shown = [name for name in words if name == "all" or (sizes[name] and (name != "B" or sizes["A"]))]
    return {name: (sizes[name], *words[name]) for name in shown}


def _gain(ap: Mapping[str, float | None]) -> float | None:
    """AP of transfer minus AP of class-agnostic, in points; None unless both are known."""
    transfer, baseline = ap.get("transfer"), ap.get("class_agnostic")
    return None if transfer is None or baseline is None else transfer - baseline
