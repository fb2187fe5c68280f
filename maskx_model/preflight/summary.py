"""What a run was, what it came to, and where everything is: a page for people who look at the run."""

from collections.abc import Mapping

import msgspec

from data_prep.storage.own_files import read_own
from maskx_model.preflight.markdown import table


class _Metrics(msgspec.Struct):
    """The part of an evaluation's `metrics.json` that is shown: kind of model → set of classes → AP."""

    ap: dict[str, dict[str, float | None]]
    ap_gt_boxes: dict[str, dict[str, float | None]]


def summarized(version: str, evaluation: str, places: Mapping[str, str]) -> str:
    """The page as Markdown.

    `version`: the registered version. `evaluation`: the URI of its evaluation's folder. `places`: name → URI. Raises
    DataError if the evaluation is not there.
    """
    metrics = read_own(f"{evaluation}/metrics.json", _Metrics)
    lines = [f"# {version}", "", "Mask AP, percent. A: classes with masks in training, B: classes without.", ""]
    lines += ["| | A | B | all |", "|---|---|---|---|"]
    for title, aps in (("predicted boxes", metrics.ap), ("annotated boxes", metrics.ap_gt_boxes)):
        for kind, ap in aps.items():
            cells = " | ".join(_cell(ap.get(classes)) for classes in ("A", "B", "all"))
            lines.append(f"| {kind.replace('_', '-')}, {title} | {cells} |")
    return "\n".join([*lines, "", *table(places)]) + "\n"


def _cell(ap: float | None) -> str:
    return "-" if ap is None else f"{ap:.1f}"
