"""How many boxes an image has: counted on some of each split and part, as the index does not say."""

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
    """Of the images of a split and part so many were `counted`; `boxes` in each that a source has annotated,
    int64[N] by source."""

    split: str
    part: str
    photographs: int
    counted: int
    boxes: dict[str, npt.NDArray[np.int64]]


def count_boxes(dataset: Dataset, catalogue: Catalogue, limit: int) -> list[BoxCounts]:
    """Count in up to `limit` images, as many of each split and part as there are or as its share allows."""
    splits, parts = (np.array(dataset.index[name].to_pylist()) for name in ("split", "part"))
    groups = sorted(set(zip(splits.tolist(), parts.tolist(), strict=True)))
    counts = []
    with tqdm(total=min(limit, len(splits)), desc="counting boxes", unit="photograph", file=sys.stderr) as bar:
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


def box_histogram(counts: BoxCounts, colours: Mapping[str, str]) -> bytes:
    """Images by their number of boxes, an outline in its colour for each source; the hundredth part with
    most goes into the last bin."""
    most = max(1, *(int(np.quantile(boxes, 0.99)) for boxes in counts.boxes.values()))
    edges = np.arange(0, most + 2 * max(1, most // BINS), max(1, most // BINS))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        for source, boxes in counts.boxes.items():
            colour = colours[source]
            heights, _ = np.histogram(np.minimum(boxes, edges[-1]), edges)
            axes.stairs(heights, edges, color=colour, fill=True, alpha=0.25)
            axes.stairs(heights, edges, color=colour, lw=1.6, label=f"{source}, {boxes.mean():.1f} in the mean")
        axes.set(xlabel="boxes in an image", ylabel="photographs", xlim=(0, edges[-1]), ylim=(0, None))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
        return svg(figure)
