"""The report: one HTML page that holds its pictures and plots and loads nothing from anywhere."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from data_prep.format.manifest import Manifest
from data_prep.format.vocabulary import Vocabulary
from maskx_model.coco_ap import METRICS
from maskx_model.evaluation import Evaluation
from maskx_model.pictures import Panel, Reason, named
from maskx_model.plots import class_frequencies, training_curves

MEASURES = {"mask": "masks on predicted boxes", "mask_gt_boxes": "masks on ground-truth boxes", "box": "boxes"}
FEW_PHOTOGRAPHS = 1000
"""With fewer than this the page says that its numbers are not to be compared with published ones."""


@dataclass(frozen=True)
class Shown:
    """A photograph of the report: its key, licence as the source has it, why it is shown, and its panels."""

    key: str
    licence: str | None
    reason: Reason
    caption: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Report:
    """All that the page tells. `in_a`: positions of A's classes; `curves`: stages by name with their metric lines."""

    evaluation: Evaluation
    vocabulary: Vocabulary
    in_a: frozenset[int]
    manifest: Manifest
    curves: Sequence[tuple[str, bytes]]
    pictures: Sequence[Shown]


def render(report: Report) -> str:
    """The page as HTML text. Everything that comes from data is escaped."""
    environment = Environment(
        loader=PackageLoader("maskx_model"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["named"] = named
    environment.filters["points"] = lambda ap: "–" if ap is None else f"{ap:.1f}"
    environment.filters["signed"] = lambda ap: "–" if ap is None else f"{ap:+.1f}"
    environment.filters["jpeg"] = _jpeg
    evaluation = report.evaluation
    sides = [c.set for c in evaluation.per_class]
    return environment.get_template("report.html.j2").render(
        report=report,
        evaluation=evaluation,
        kinds=list(evaluation.ap),
        measures=MEASURES,
        metrics=METRICS,
        shared_boxes=len(evaluation.box_ap) > 1 and len({str(sets) for sets in evaluation.box_ap.values()}) == 1,
        few=evaluation.images < FEW_PHOTOGRAPHS,
        sizes={"A": sides.count("A"), "B": sides.count("B"), "all": len(sides)},
        empty=sum(c.objects == 0 for c in evaluation.per_class),
        top=max((ap for sets in evaluation.ap.values() for ap in sets.values() if ap is not None), default=0.0),
        gains={c.position: _gain(c.ap) for c in evaluation.per_class},
        margin={name: _gain({kind: sets[name] for kind, sets in evaluation.ap.items()}) for name in ("A", "B", "all")},
        curves=[(name, _svg(curve)) for name, lines in report.curves if (curve := training_curves(lines))],
        frequencies=_svg(class_frequencies(report.vocabulary, report.in_a)),
        counts=_counts(report.manifest),
        dropped={"left out by rule": report.manifest.left_out, "rejected as broken": report.manifest.rejected},
    )


def _gain(ap: Mapping[str, float | None]) -> float | None:
    """Transfer against class-agnostic, in points; None where there are not two numbers."""
    transfer, baseline = ap.get("transfer"), ap.get("class_agnostic")
    return None if transfer is None or baseline is None else transfer - baseline


def _counts(manifest: Manifest) -> tuple[list[str], list[tuple[str, str, list[int | None]]]]:
    """What is counted, and for each split and part how many of each (None: not counted there)."""
    parts = [
        (split, part, counts) for split, all_parts in manifest.counts.items() for part, counts in all_parts.items()
    ]
    what = list(dict.fromkeys(name for _, _, counts in parts for name in counts))
    return what, [(split, part, [counts.get(name) for name in what]) for split, part, counts in parts]


def _jpeg(panel: Panel) -> str:
    buffer = io.BytesIO()
    Image.fromarray(panel.picture).save(buffer, "JPEG", quality=88)
    return _data_uri("image/jpeg", buffer.getvalue())


def _svg(document: bytes) -> str:
    return _data_uri("image/svg+xml", document)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
