"""Plots as SVG documents: their common style, and the plot of class frequencies."""

import io
from collections.abc import Collection
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from data_prep.format.vocabulary import Vocabulary

GREEN, RED, INK = "#009e73", "#d55e00", "#334155"
LINES = ("#4f46e5", "#94a3b8", "#f59e0b", "#06b6d4", "#ec4899", "#84cc16")
"""Colors of a total and of its parts; a joint training has five parts."""
# The same input gives the same bytes: no random ids, no date.
STYLE = {
    "svg.hashsalt": "maskx",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#cbd5e1",
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def class_frequencies(vocabulary: Vocabulary, in_a: Collection[int]) -> bytes:
    """Plot the number of objects of each class (all sources and splits) by rank, as SVG: both axes logarithmic, A green
    and B red. `in_a`: positions of A's classes."""
    counts = np.array([c.objects for c in vocabulary.classes])
    order = np.argsort(-counts, kind="stable")
    rank = np.arange(1, len(counts) + 1)
    is_a = np.isin(order, list(in_a))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        for name, color, marker, chosen in (("B", RED, "x", ~is_a), ("A", GREEN, "o", is_a)):
            label = f"{name}, {int(chosen.sum())} classes"
            axes.scatter(rank[chosen], counts[order][chosen], s=14, c=color, marker=marker, lw=1, label=label)
        if not counts.any():
            axes.set_ylim(0.8, 10)  # there is nothing to scale the axis by
        axes.set(
            xscale="log", yscale="log", xlabel="rank of the class", ylabel="objects", xlim=(0.8, None), ylim=(0.8, None)
        )
        for axis, largest in ((axes.xaxis, len(counts)), (axes.yaxis, counts.max(initial=1))):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if largest < 1000 else (1,)))
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
        axes.legend(frameon=False)
        return svg(figure)


def svg(figure: Any) -> bytes:
    """The figure as an SVG document; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
