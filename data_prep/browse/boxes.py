"""Count the boxes of an image, in some images of each split and part, as the index does not hold the number."""

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

from data_prep.browse.catalogue import Catalogue
from data_prep.format.index import index_rows
from data_prep.format.reader import Dataset
from data_prep.pages.plots import STYLE, svg

BINS = 40


@dataclass(frozen=True)
class BoxCounts:
    """Box counts of a split and part. `images`: how many it has; `counted`: in how many of them boxes were counted;
    `boxes`: by source, the number of boxes in each counted image that the source annotates, int64[N]."""

    split: str
    part: str
    images: int
    counted: int
    boxes: dict[str, npt.NDArray[np.int64]]


def count_boxes(dataset: Dataset, catalogue: Catalogue, limit: int) -> list[BoxCounts]:
    """Count boxes in about `limit` images, an equal number from each split and part, or all that it has."""
    splits, parts = (np.array(dataset.index[name].to_pylist()) for name in ("split", "part"))
    groups = sorted(set(zip(splits.tolist(), parts.tolist(), strict=True)))
    counts = []
    with tqdm(total=min(limit, len(splits)), desc="counting boxes", unit="image", file=sys.stderr) as bar:
        for split, part in groups:
            rows = np.flatnonzero((splits == split) & (parts == part))
            chosen = catalogue.sample(rows, max(1, limit // len(groups)))
            boxes: dict[str, list[int]] = defaultdict(list)
            for row in index_rows(dataset.index.take(chosen)):
                for source, annotations in dataset.read_record(row).objects.items():
                    boxes[source].append(len(annotations))
                bar.update()
            by_source = {source: np.array(boxes[source], np.int64) for source in sorted(boxes)}
            counts.append(BoxCounts(split, part, len(rows), len(chosen), by_source))
    return counts


def box_histogram(counts: BoxCounts, colors: Mapping[str, str]) -> bytes:
    """Plot the number of images over the number of boxes, a histogram for each source in its color, as SVG. The 1 % of
    images with the most boxes are in the last bin."""
    most = max(1, *(int(np.quantile(boxes, 0.99)) for boxes in counts.boxes.values()))
    step = max(1, most // BINS)
    edges = np.arange(0, most + 2 * step, step) - 0.5  # so that a bin of one number has it in its middle
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        for source, boxes in counts.boxes.items():
            color = colors[source]
            heights, _ = np.histogram(np.minimum(boxes, edges[-1]), edges)
            axes.stairs(heights, edges, color=color, fill=True, alpha=0.25)
            axes.stairs(heights, edges, color=color, lw=1.6, label=f"{source}, {boxes.mean():.1f} on average")
        axes.set(xlabel="boxes in an image", ylabel="images", xlim=(edges[0], edges[-1]), ylim=(0, None))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
        return svg(figure)
