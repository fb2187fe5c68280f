"""AP of one or several kinds of models on A, B and all classes, as lines of text."""

from collections.abc import Mapping

APs = dict[str, dict[str, float | None]]
"""Kind of model → set of classes (A, B, all) → AP in percent points; None where nothing could be measured."""


def ap_table(heading: str, rows: Mapping[str, APs]) -> list[str]:
    """A line for each kind below each title of `rows`, and what A and B are."""
    lines = [f"{heading:<34}{'A':>8}{'B':>8}{'all':>8}"]
    for title, aps in rows.items():
        lines.append(title)
        for kind, ap in aps.items():
            cells = "".join(f"{_cell(ap.get(classes)):>8}" for classes in ("A", "B", "all"))
            lines.append(f"  {kind.replace('_', '-'):<32}{cells}")
    return [*lines, "A: classes with masks in training, B: classes without"]


def _cell(ap: float | None) -> str:
    return "–" if ap is None else f"{ap:.1f}"
