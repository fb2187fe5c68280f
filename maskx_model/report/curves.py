"""Training curves, as SVG documents."""

from itertools import cycle

import matplotlib as mpl
import msgspec
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data_prep.pages.plots import LINES, STYLE, svg


def training_curves(metrics: bytes) -> bytes | None:
    """Plot a stage's losses over its steps as SVG, from the lines of its `metrics.jsonl`: each value named `loss…`, and
    in bold the total, smoothed. None if no step was logged."""
    lines = [msgspec.json.decode(line, type=dict[str, float]) for line in metrics.splitlines()]
    steps = [line for line in lines if "loss" in line]
    if not steps:
        return None
    names = [name for name in steps[0] if name.startswith("loss")]
    x = np.array([line["step"] for line in steps])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        for name, color in zip(names[1:] if len(names) > 2 else [], cycle(LINES[1:]), strict=False):
            axes.plot(
                x,
                _smooth([line.get(name, np.nan) for line in steps]),
                color=color,
                lw=1.2,
                label=name.removeprefix("loss_"),
            )
        total = [line["loss"] for line in steps]
        axes.plot(x, total, color=LINES[0], lw=0.8, alpha=0.3)
        axes.plot(x, _smooth(total), color=LINES[0], lw=2, label="total")
        axes.set(xlabel="step", ylabel="loss", ylim=(0, None), xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper left", ncols=3, fontsize=9, frameon=False)
        return svg(figure)


def _smooth(values: list[float]) -> npt.NDArray[np.float64]:
    """The centered mean over a twentieth of the run, over less at both ends."""
    half = max(1, len(values) // 40)
    return np.array([np.mean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])
