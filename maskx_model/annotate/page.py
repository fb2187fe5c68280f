"""The page of a run: how many masks, how sure they are class by class, and examples, random ones and the least sure."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from data_prep.format.records import Rle
from data_prep.format.rle import decode_mask, encode_bitmap, encode_polygons
from data_prep.pages.drawing import Shape, draw
from data_prep.pages.html import jpeg_uri, page_environment
from data_prep.sources.reasons import NOTED
from data_prep.storage.storage import write
from maskx_model.annotate.join import MadeMasks
from maskx_model.annotate.outcomes import OUTCOMES
from maskx_model.annotate.pixels import read_pixels
from maskx_model.annotate.segment import clipped
from maskx_model.annotate.summary import EXIF_ORIENTATION, Summary
from maskx_model.annotate.work import BoxedImage, Objects
from maskx_model.inference.segmenter import Segmenter

EXAMPLES = 24
"""Number of examples of each kind."""
LONG_EDGE = 300
MARGIN = 0.4
"""What is shown around a box, as a part of its longer side."""


@dataclass(frozen=True, order=True)
class Example:
    """A mask to show; the lowest `rank` comes first."""

    rank: float
    file: int
    number: int
    row: int
    score: float
    segmentation: bytes


class Shown:
    """Gathers what the page shows, file by file."""

    def __init__(self, images: Sequence[BoxedImage], objects: Objects, segmenter: Segmenter) -> None:
        self.images, self.objects = images, objects
        self.names, self.in_a = segmenter.vocabulary.names, segmenter.mask_classes
        self.random: list[Example] = []
        self.least_sure: list[Example] = []
        self.counts = np.zeros(len(self.names), np.int64)
        self._sums = np.zeros(len(self.names))

    def add(self, file: int, scores: npt.NDArray[np.float64], made: MadeMasks) -> None:
        """Add the masks of one file; `scores` of its annotations, NaN where no mask was made."""
        rows = np.flatnonzero(self.objects["file"] == file)
        numbers = self.objects["number"][rows]
        rows, numbers = rows[(made_here := np.isfinite(scores[numbers]))], numbers[made_here]
        own, labels = scores[numbers], self.objects["label"][rows]
        self.counts += np.bincount(labels, minlength=len(self.names))
        self._sums += np.bincount(labels, own, minlength=len(self.names))

        def first(ranks: npt.NDArray[np.float64], others: list[Example]) -> list[Example]:
            best = np.argsort(ranks, kind="stable")[:EXAMPLES].tolist()
            mine = [
                Example(float(ranks[i]), file, int(numbers[i]), int(rows[i]), float(own[i]), found)
                for i in best
                if (found := made.segmentation(int(numbers[i]))) is not None
            ]
            return heapq.nsmallest(EXAMPLES, [*others, *mine])

        self.random = first(np.random.default_rng(file).random(len(rows)), self.random)
        self.least_sure = first(own, self.least_sure)

    @property
    def mean_score(self) -> float | None:
        """Of all masks; None without any."""
        total = int(self.counts.sum())
        return round(float(self._sums.sum()) / total, 4) if total else None

    def classes(self) -> list[tuple[str, bool, int, float]]:
        """Each class with masks: its name, whether it is in A, the number of its masks and their mean score, the least
        sure class first."""
        found = np.flatnonzero(self.counts).tolist()
        means = {label: float(self._sums[label] / self.counts[label]) for label in found}
        ordered = sorted(found, key=lambda label: means[label])
        return [(self.names[at], at in self.in_a, int(self.counts[at]), means[at]) for at in ordered]

    def picture(self, example: Example) -> dict[str, Any]:
        """The example's box and mask drawn on the part of its image around them."""
        thing = self.objects[example.row]
        pixels = read_pixels(self.images[thing["image"]]).pixels
        height, width = pixels.shape[:2]
        (box,), _ = clipped(thing["box"][None], width, height)
        margin = MARGIN * max(box[2] - box[0], box[3] - box[1])
        left, top = (int(max(0, edge - margin)) for edge in box[:2])
        right, bottom = int(min(width, box[2] + margin + 1)), int(min(height, box[3] + margin + 1))
        mask = decode_mask(as_rle(example.segmentation, (height, width)))[top:bottom, left:right]
        x1, y1, x2, y2 = (box - [left, top, left, top]).tolist()
        shape = Shape((x1, y1, x2, y2), encode_bitmap(mask), int(thing["label"]) in self.in_a)
        drawn = draw(pixels[top:bottom, left:right], [shape], LONG_EDGE)
        return {"name": self.names[thing["label"]], "score": example.score, "uri": jpeg_uri(drawn), "drawn": drawn}


def as_rle(segmentation: bytes, size: tuple[int, int]) -> Rle:
    """The mask of a `segmentation` that this command wrote, over an image of `size` (height, width)."""
    found = msgspec.json.decode(segmentation, type=Rle | list[list[float]])
    return found if isinstance(found, Rle) else encode_polygons(found, size)


def write_page(uri: str, summary: Summary, shown: Shown) -> None:
    """Write the page; all text from data is escaped."""
    template = page_environment("maskx_model.annotate").get_template("annotated.html.j2")
    page = template.render(
        summary=summary,
        exif_orientation=NOTED[EXIF_ORIENTATION],
        outcomes=[(OUTCOMES[name], number) for name, number in summary.outcomes.items()],
        classes=shown.classes(),
        groups=[
            ("The least sure", "Look here first.", [shown.picture(example) for example in shown.least_sure]),
            ("At random", "What the masks are like.", [shown.picture(example) for example in shown.random]),
        ],
    )
    write(uri, page.encode())
