"""Render the result of a leave-classes-out study as an HTML page that stands alone."""

import matplotlib as mpl
from matplotlib.figure import Figure

from data_prep.pages.html import page_environment, svg_uri
from data_prep.pages.plots import INK, LINES, RED, STYLE, svg
from maskx_model.study.estimate import Holdout


def holdout_page(result: Holdout) -> str:
    """Render the table and plot of a leave-classes-out study as HTML; all text from data is escaped."""
    environment = page_environment("maskx_model.study")
    environment.filters["points"] = lambda ap: "–" if ap is None else f"{ap:.1f}"
    environment.filters["signed"] = lambda ap: f"{ap:+.1f}"
    ordered = sorted(result.variants, key=lambda each: -each.predicted.on_b)
    return environment.get_template("holdout.html.j2").render(
        result=result, variants=ordered, plot=svg_uri(_held_out(result))
    )


def _held_out(result: Holdout) -> bytes:
    """Plot each variant's AP in each fold and their mean as SVG, the best estimate on top."""
    variants = sorted(result.variants, key=lambda each: each.predicted.on_b)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.9 + 0.36 * len(variants)), layout="constrained")
        axes = figure.subplots()
        for height, each in enumerate(variants):
            color = LINES[0] if each.name == result.picked else RED if each.flagged else INK
            axes.scatter(each.rows, [height] * len(each.rows), s=18, color=color, alpha=0.35, lw=0)
            axes.scatter([each.predicted.mean], [height], s=70, color=color, marker="|", lw=2.5)
        axes.set_yticks(range(len(variants)), [each.name for each in variants])
        axes.set(xlabel="mask AP on held-out classes", xlim=(0, None), ylim=(-0.6, len(variants) - 0.4))
        axes.grid(axis="x", color="#e2e8f0", lw=0.8)
        axes.set_axisbelow(True)
        return svg(figure)
