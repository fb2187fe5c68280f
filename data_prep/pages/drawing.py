"""Objects drawn onto an image: green and solid is A (masks in training), red and dashed is B (boxes only), as in
the paper's Figures 4 and 5. The two hues stay apart for the colour-blind, and the dashes need no hue at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from data_prep.format.records import Rle
from data_prep.format.rle import decode_mask

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]

# Several shades of each colour, so that overlapping objects of one side can be told apart.
GREENS: tuple[Colour, ...] = ((0, 158, 115), (0, 124, 92), (64, 184, 150), (0, 96, 70))
REDS: tuple[Colour, ...] = ((213, 94, 0), (238, 124, 44), (186, 66, 10), (150, 58, 0))
OPACITY = 0.45


@dataclass(frozen=True)
class Shape:
    """An object to draw: its box (x1, y1, x2, y2) in the image's pixels, its mask of the image's size if it
    has one, whether its class is of A, and its label, which may be empty."""

    box: Rectangle
    mask: Rle | None
    in_a: bool
    label: str = ""


def draw(image: Picture, shapes: Sequence[Shape], long_edge: int) -> Picture:
    """Half-transparent masks, boxes and labels on a copy of the image (uint8[H, W, 3], RGB).

    The result's longer side is `long_edge` pixels. The first shapes come out on top. In a crowd some labels are left
    out.
    """
    height, width = image.shape[:2]
    scale = long_edge / max(height, width)
    canvas = _resized(image, scale)
    colours = [_colour(rank, shape.in_a) for rank, shape in enumerate(shapes)]
    for shape, colour in reversed(list(zip(shapes, colours, strict=True))):
        if shape.mask is not None:
            _blend(canvas, shape.mask, colour)
    drawing = ImageDraw.Draw(picture := Image.fromarray(canvas))
    boxes = [_inside(shape.box, scale, picture.size) for shape in shapes]
    line = max(2, round(long_edge / 300))
    for shape, box, colour in reversed(list(zip(shapes, boxes, colours, strict=True))):
        _draw_box(drawing, box, colour, line, dashed=not shape.in_a)
    taken: list[Rectangle] = []
    for shape, box, colour in zip(shapes, boxes, colours, strict=True):
        if shape.label:
            _draw_label(drawing, shape.label, box, colour, taken)
    return np.asarray(picture)


def _resized(image: Picture, scale: float) -> Picture:
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(image).resize(size, method))


def _colour(rank: int, in_a: bool) -> Colour:
    shades = GREENS if in_a else REDS
    return shades[rank % len(shades)]


def _blend(canvas: Picture, rle: Rle, colour: Colour) -> None:
    """Mix the colour into the canvas where the mask (of the image's size) is set, and trace its outline."""
    height, width = canvas.shape[:2]
    grey = Image.fromarray(decode_mask(rle) * np.uint8(255)).resize((width, height), Image.Resampling.BILINEAR)
    inside = np.asarray(grey) > 127
    canvas[inside] = canvas[inside] * (1 - OPACITY) + np.array(colour, dtype=np.float32) * OPACITY
    line = max(1, round(max(height, width) / 400))
    kept = Image.fromarray(inside.astype(np.uint8)).filter(ImageFilter.MinFilter(2 * line + 1))
    canvas[inside & (np.asarray(kept) == 0)] = colour


def _inside(box: Rectangle, scale: float, size: tuple[int, int]) -> Rectangle:
    right, bottom = size[0] - 1, size[1] - 1
    x1, y1, x2, y2 = np.clip(np.array(box, np.float64) * scale, 0, (right, bottom, right, bottom)).tolist()
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
