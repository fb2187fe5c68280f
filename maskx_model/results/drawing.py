"""Draw a model's detections onto the image."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from data_prep.pages.drawing import Picture, Shape, draw

if TYPE_CHECKING:
    from maskx_model.results.instances import Instances

SMALLEST_LONG_EDGE = 480


def draw_instances(
    image: Picture,
    instances: "Instances",
    names: Sequence[str],
    mask_classes: Collection[int],
    min_score: float = 0.5,
    *,
    only: Collection[int] | None = None,
    long_edge: int | None = None,
    show_scores: bool = True,
) -> Picture:
    """Draw half-transparent masks, boxes and labels on a copy of the image (uint8[H, W, 3], RGB).

    `names` are the vocabulary's, `mask_classes` the positions of A's classes: those are green with solid boxes, the
    others red with dashed ones. Instances below `min_score`, and those of classes that are not in `only`, are not
    drawn. The result's longer side is `long_edge` pixels; by default the image's own, but at least 480, so that labels
    stay readable. Labels that would hide others are omitted.
    """
    shapes = []
    for box, label, score, mask in zip(
        instances.boxes.tolist(), instances.labels.tolist(), instances.scores.tolist(), instances.masks, strict=True
    ):
        if score >= min_score and (only is None or label in only):
            text = names[label] + (f" {score:.2f}" if show_scores else "")
            shapes.append(Shape(tuple(box), mask, label in mask_classes, text))
    return draw(image, shapes, long_edge or max(*image.shape[:2], SMALLEST_LONG_EDGE))
