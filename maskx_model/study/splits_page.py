"""The results of many splits as Markdown, CSV, and a plot of Figure 3's: AP on B by the number of classes in A.

The paper's Figure 3 has, of the same splits, the relative increase over class-agnostic by the mean number of masks of a
class of A.
"""

import csv
import io
from collections.abc import Sequence
from statistics import mean

from data_prep.storage.storage import write
from maskx_model.study.splits import SplitResult, read_splits
from maskx_model.study.spread import deviation

DRAWN = ("figure3:", "random:")
"""How the names of splits begin that were drawn at random, several of one size: those are Figure 3's."""
COLUMNS = ("mask_classes", "classes_in_a", "table", "row", "ap_b", "ap_b_deviation", "ap_a", "ap_b_given_boxes")
Points = dict[str, dict[int, list[float]]]


def write_splits(uris: Sequence[str], out: str) -> str:
    """Collect the splits' results into `<out>/splits.csv`, `splits.md` and `figure3.svg`; returns the Markdown.

    Raises DataError for a result that is missing or damaged.
    """
    results = read_splits(uris)
    write(f"{out}/splits.csv", splits_csv(results).encode())
    write(f"{out}/figure3.svg", figure_3(figure_3_points(results)))
    text = splits_markdown(results)
    write(f"{out}/splits.md", text.encode())
    return text


def splits_csv(results: Sequence[SplitResult]) -> str:
    """A line for each row of each split; AP in percent, empty where the row was not run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in results:
        for row in each.tables.rows:
            of_b = (None, None) if row.b is None else (row.b.mean, row.b.deviation)
            means = [*of_b, *(None if spread is None else spread.mean for spread in (row.a, row.b_given))]
            numbers = ["" if value is None else f"{value:.3f}" for value in means]
            writer.writerow([each.mask_classes, each.classes_in_a, row.table, row.name, *numbers])
    return text.getvalue()


def splits_markdown(results: Sequence[SplitResult]) -> str:
    """The same as a table for people, with the paper's orderings that hold."""
    lines = ["# Mask AP by the choice of A, percent", "", "| A | classes | row | B | A |", "|---|---|---|---|---|"]
    for each in results:
        for row in each.tables.rows:
            shown = (row.not_run, "") if row.not_run else (row.b, row.a)
            lines.append(
                f"| {each.mask_classes} | {each.classes_in_a} | {row.table} {row.name} | {shown[0]} | {shown[1]} |"
            )
    orderings = [ordering for each in results for ordering in each.tables.orderings]
    lines += [
        "",
        f"{sum(each.holds for each in orderings)} of {len(orderings)} orderings of the paper hold on the mean.",
    ]
    return "\n".join(lines) + "\n"


def figure_3_points(results: Sequence[SplitResult]) -> Points:
    """Method → number of classes in A → AP on B of each split of that size that was drawn at random."""
    points: Points = {}
    for each in results:
        if each.mask_classes.startswith(DRAWN):
            for method, ap in {row.method: row.b.mean for row in each.tables.rows if row.b is not None}.items():
                points.setdefault(method, {}).setdefault(each.classes_in_a, []).append(ap)
    return points


def figure_3(points: Points) -> bytes:
    """Plot the points' means with their standard deviation as SVG, a line for each method."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from data_prep.pages.plots import LINES, STYLE, svg

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        for number, (method, by_size) in enumerate(sorted(points.items())):
            sizes = sorted(by_size)
            means, spreads = zip(*((mean(by_size[size]), deviation(by_size[size])) for size in sizes), strict=True)
            color = LINES[number % len(LINES)]
            axes.errorbar(sizes, means, yerr=spreads, color=color, marker="o", capsize=3, label=method)
        axes.set(xlabel="classes in A", ylabel="mask AP on B, percent")
        if points:
            axes.legend(frameon=False)
        return svg(figure)
