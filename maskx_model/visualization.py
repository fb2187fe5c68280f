"""Instances drawn onto a photograph: green is A (masks in training), red is B (boxes only), as in Figures 4 and 5."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as coco_mask

if TYPE_CHECKING:
    from maskx_model.inference import Instances

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]

# Several shades of each colour, so that overlapping objects of one side can be told apart.
GREENS: tuple[Colour, ...] = ((34, 166, 88), (0, 133, 109), (104, 174, 44), (18, 112, 58))
REDS: tuple[Colour, ...] = ((222, 44, 60), (236, 98, 38), (196, 32, 106), (150, 24, 38))
SMALLEST_LONG_EDGE = 480
OPACITY = 0.45


def draw_instances(
    image: Picture,
    instances: "Instances",
    names: Sequence[str],
    in_a: Collection[int],
    min_score: float = 0.5,
    *,
    long_edge: int | None = None,
    show_scores: bool = True,
) -> Picture:
    """Half-transparent masks, boxes and labels on a copy of the photograph (uint8[H, W, 3], RGB).

    `names` are the vocabulary's, `in_a` the positions of A's classes: those are green with solid boxes, the others red
    with dashed ones. Instances below `min_score` are left out. The result's longer side is `long_edge` pixels; by
    default the photograph's own, but at least 480, so that labels stay readable. In a crowd some labels are left out.
    """
    height, width = image.shape[:2]
    scale = (long_edge or max(height, width, SMALLEST_LONG_EDGE)) / max(height, width)
    canvas = _resized(image, scale)
    shown = [i for i, score in enumerate(instances.scores) if score >= min_score]
    colours = {i: _colour(rank, int(instances.labels[i]) in in_a) for rank, i in enumerate(shown)}
    for i in reversed(shown):
        mask = coco_mask.decode({"size": list(instances.masks[i].size), "counts": instances.masks[i].counts})
        _blend(canvas, mask, colours[i])
    drawing = ImageDraw.Draw(picture := Image.fromarray(canvas))
    boxes = {i: _inside(instances.boxes[i] * scale, canvas) for i in shown}
    line = max(2, round(max(canvas.shape) / 300))
    for i in reversed(shown):
        _draw_box(drawing, boxes[i], colours[i], line, dashed=int(instances.labels[i]) not in in_a)
    taken: list[Rectangle] = []
    for i in shown:
        text = names[int(instances.labels[i])] + (f" {instances.scores[i]:.2f}" if show_scores else "")
        _draw_label(drawing, text, boxes[i], colours[i], taken)
    return np.asarray(picture)


def _resized(image: Picture, scale: float) -> Picture:
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))


def _colour(rank: int, in_a: bool) -> Colour:
    shades = GREENS if in_a else REDS
    return shades[rank % len(shades)]


def _blend(canvas: Picture, mask: npt.NDArray[np.uint8], colour: Colour) -> None:
    """Mix the colour into the canvas where the mask (of the photograph's size) is set, and trace its outline."""
    size = (canvas.shape[1], canvas.shape[0])
    inside = cv2.resize(mask * np.uint8(255), size, interpolation=cv2.INTER_LINEAR) > 127
    tint = np.array(colour, dtype=np.float32) * OPACITY
    canvas[inside] = canvas[inside] * (1 - OPACITY) + tint
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, colour, max(1, round(max(canvas.shape) / 400)), cv2.LINE_AA)


def _inside(box: npt.NDArray[np.float32], canvas: Picture) -> Rectangle:
    limits = np.array([canvas.shape[1] - 1, canvas.shape[0] - 1] * 2)
    x1, y1, x2, y2 = np.clip(box, 0, limits).tolist()
    return x1, y1, x2, y2


def _draw_box(drawing: ImageDraw.ImageDraw, box: Rectangle, colour: Colour, line: int, dashed: bool) -> None:
    if not dashed:
        drawing.rectangle(box, outline=colour, width=line)
        return
    x1, y1, x2, y2 = box
    dash = 4 * line
    for start in np.arange(x1, x2, 2 * dash).tolist():
        for y in (y1, y2):
            drawing.line((start, y, min(start + dash, x2), y), fill=colour, width=line)
    for start in np.arange(y1, y2, 2 * dash).tolist():
        for x in (x1, x2):
            drawing.line((x, start, x, min(start + dash, y2)), fill=colour, width=line)


def _draw_label(
    drawing: ImageDraw.ImageDraw, text: str, box: Rectangle, colour: Colour, taken: list[Rectangle]
) -> None:
    """Write the text at the box, where it covers the labels in `taken` least, and add its place to them; where it would
    cover them by more than a third of itself it is left out."""
    width, height = drawing.im.size
    font = ImageFont.load_default(size=max(13, round(max(width, height) * 0.031)))
    if (length := drawing.textlength(text, font=font)) > width - 8:
        text = text[: max(1, int(len(text) * (width - 8) / length) - 2)] + "…"
    pad = 3
    left, top, right, bottom = drawing.textbbox((0, 0), text, font=font)
    size = (right - left + 2 * pad, bottom - top + 2 * pad)
    x1, y1, x2, y2 = box
    corners = [(x1, y1 - size[1]), (x1, y1), (x1, y2), (x2 - size[0], y2 - size[1]), (x2 - size[0], y1)]
    places = [_place(corner, size, (width, height)) for corner in corners]
    covered = [sum(_overlap(place, other) for other in taken) for place in places]
    place = places[covered.index(min(covered))]
    if min(covered) > size[0] * size[1] / 3:
        return
    taken.append(place)
    drawing.rounded_rectangle(place, radius=pad, fill=(colour[0] * 3 // 4, colour[1] * 3 // 4, colour[2] * 3 // 4))
    drawing.text((place[0] + pad - left, place[1] + pad - top), text, fill="white", font=font)


def _place(corner: tuple[float, float], size: tuple[float, float], canvas: tuple[int, int]) -> Rectangle:
    x = min(max(corner[0], 0), max(canvas[0] - size[0], 0))
    y = min(max(corner[1], 0), max(canvas[1] - size[1], 0))
    return x, y, x + size[0], y + size[1]


def _overlap(one: Rectangle, other: Rectangle) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)
