"""Draw objects onto an image: green and solid is A (masks in training), red and dashed is B (boxes only), as in the
paper's Figures 4 and 5. The color-blind can tell the two hues apart, and the dashes need no hue at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from data_prep.format.records import Rle
from data_prep.format.rle import decode_mask

Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]

# Several shades of each color, so that overlapping objects of A, or of B, can be distinguished.
GREENS: tuple[Color, ...] = ((0, 158, 115), (0, 124, 92), (64, 184, 150), (0, 96, 70))
REDS: tuple[Color, ...] = ((213, 94, 0), (238, 124, 44), (186, 66, 10), (150, 58, 0))
OPACITY = 0.45


@dataclass(frozen=True)
class Shape:
    """An object to draw: its box (x1, y1, x2, y2) in the image's pixels, its mask of the image's size or None, whether
    its class is in A, and its label, which may be empty."""

    box: Rectangle
    mask: Rle | None
    in_a: bool
    label: str = ""


def draw(image: Picture, shapes: Sequence[Shape], long_edge: int) -> Picture:
    """Draw half-transparent masks, boxes and labels on a copy of the image (uint8[H, W, 3], RGB).

    The longer side of the result is `long_edge` pixels. The first shapes are on top. Labels that would hide others are
    omitted.
    """
    height, width = image.shape[:2]
    scale = long_edge / max(height, width)
    canvas = _resized(image, scale)
    colors = [_color(rank, shape.in_a) for rank, shape in enumerate(shapes)]
    for shape, color in reversed(list(zip(shapes, colors, strict=True))):
        if shape.mask is not None:
            _blend(canvas, shape.mask, color)
    drawing = ImageDraw.Draw(picture := Image.fromarray(canvas))
    boxes = [_inside(shape.box, scale, picture.size) for shape in shapes]
    line = max(2, round(long_edge / 300))
    for shape, box, color in reversed(list(zip(shapes, boxes, colors, strict=True))):
        _draw_box(drawing, box, color, line, dashed=not shape.in_a)
    taken: list[Rectangle] = []
    for shape, box, color in zip(shapes, boxes, colors, strict=True):
        if line_of_text := " ".join(shape.label.split()):
            _draw_label(drawing, line_of_text, box, color, taken)
    return np.asarray(picture)


def _resized(image: Picture, scale: float) -> Picture:
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(image).resize(size, method))


def _color(rank: int, in_a: bool) -> Color:
    shades = GREENS if in_a else REDS
    return shades[rank % len(shades)]


def _blend(canvas: Picture, rle: Rle, color: Color) -> None:
    """Mix the color into the canvas where the mask (of the image's size) is set, and trace its outline."""
    height, width = canvas.shape[:2]
    mask = Image.fromarray(decode_mask(rle).view(np.uint8) * np.uint8(255))
    inside = np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) > 127
    if not inside.any():
        return
    line = max(1, round(max(height, width) / 400))
    window = _around(inside, line)
    part, inside = canvas[window], inside[window]
    shades = np.arange(256, dtype=np.uint8)[:, None] * (1 - OPACITY) + np.array(color, np.float32) * OPACITY
    mixed = Image.fromarray(part).point(shades.astype(np.uint8).T.ravel().tolist())
    np.copyto(part, np.asarray(mixed), where=inside[:, :, None])
    part[inside & ~_eroded(inside, line)] = color


def _around(inside: npt.NDArray[np.bool_], reach: int) -> tuple[slice, slice]:
    """The rows and columns where bool[H, W] is set anywhere, and `reach` more on each side."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)).tolist() for axis in (1, 0))
    return (
        slice(max(0, rows[0] - reach), rows[-1] + reach + 1),
        slice(max(0, columns[0] - reach), columns[-1] + reach + 1),
    )


def _eroded(inside: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """The pixels of bool[H, W] whose neighbors up to `reach` away are all set; beyond the edges all are."""
    for _ in range(2):  # down the columns, then, turned, along the rows
        inside = np.pad(inside, ((reach, reach), (0, 0)), constant_values=True)
        rows = 1  # of the mask that a row of `inside` speaks for
        while rows < 2 * reach + 1:
            step = min(rows, 2 * reach + 1 - rows)
            inside = inside[:-step] & inside[step:]
            rows += step
        inside = inside.T
    return inside


def _inside(box: Rectangle, scale: float, size: tuple[int, int]) -> Rectangle:
    right, bottom = size[0] - 1, size[1] - 1
    x1, y1, x2, y2 = np.clip(np.array(box, np.float64) * scale, 0, (right, bottom, right, bottom)).tolist()
    return x1, y1, x2, y2


def _draw_box(drawing: ImageDraw.ImageDraw, box: Rectangle, color: Color, line: int, dashed: bool) -> None:
    if not dashed:
        drawing.rectangle(box, outline=color, width=line)
        return
    x1, y1, x2, y2 = box
    dash = 4 * line
    for start in np.arange(x1, x2, 2 * dash).tolist():
        for y in (y1, y2):
            drawing.line((start, y, min(start + dash, x2), y), fill=color, width=line)
    for start in np.arange(y1, y2, 2 * dash).tolist():
        for x in (x1, x2):
            drawing.line((x, start, x, min(start + dash, y2)), fill=color, width=line)


def _draw_label(drawing: ImageDraw.ImageDraw, text: str, box: Rectangle, color: Color, taken: list[Rectangle]) -> None:
    """Write the text at the corner of the box where it covers the labels in `taken` least, and add its rectangle to
    them; omit it if they cover more than a third of it everywhere."""
    width, height = drawing.im.size
    font = ImageFont.load_default(size=max(13, round(max(width, height) * 0.031)))
    if (length := drawing.textlength(text, font=font)) > width - 8:
        text = text[: max(1, int(len(text) * (width - 8) / length) - 2)] + "…"
    pad = 3
    left, top, right, bottom = drawing.textbbox((0, 0), text, font=font)
    size = (right - left + 2 * pad, bottom - top + 2 * pad)
    x1, y1, x2, y2 = box
    corners = [(x1, y1 - size[1]), (x1, y1), (x1, y2), (x2 - size[0], y2 - size[1]), (x2 - size[0], y1)]
    rectangles = [_within(corner, size, (width, height)) for corner in corners]
    covered = [sum(_overlap(each, other) for other in taken) for each in rectangles]
    rectangle = rectangles[covered.index(min(covered))]
    if min(covered) > size[0] * size[1] / 3:
        return
    taken.append(rectangle)
    drawing.rounded_rectangle(rectangle, radius=pad, fill=(color[0] * 3 // 4, color[1] * 3 // 4, color[2] * 3 // 4))
    drawing.text((rectangle[0] + pad - left, rectangle[1] + pad - top), text, fill="white", font=font)


def _within(corner: tuple[float, float], size: tuple[float, float], canvas: tuple[int, int]) -> Rectangle:
    x = min(max(corner[0], 0), max(canvas[0] - size[0], 0))
    y = min(max(corner[1], 0), max(canvas[1] - size[1], 0))
    return x, y, x + size[0], y + size[1]


def _overlap(one: Rectangle, other: Rectangle) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)
