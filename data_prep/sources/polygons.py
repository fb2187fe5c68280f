"""Polygons → compressed run lengths, many at a time and to the byte what pycocotools makes of each.

pycocotools walks along an outline at five times the resolution, in steps of a fifth of a pixel, and notes where the
walk changes from one column of pixels to the next: at most one step in five does. Here only those places are computed,
of all edges of all polygons together. An outline crosses from column i to i + 1 between the fine columns 5i + 2 and
5i + 3; the pixels below that place, in column order, change from outside to inside or back.
"""

from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FINE = 5
REACH = 2
"""A polygon of an image lies within so many of its longer sides from the upper left corner."""
LARGEST = 1e5
"""With numbers up to here no error of rounding is as large as `_DOUBTFUL`."""
_DOUBTFUL = 1e-3

_PLACE_BITS = 32
"""The lower bits of a key, int64, are a place in the image, column by column; the others its polygon's number."""


class _Edges(NamedTuple):
    """Edges from (xs, ys) to (xe, ye) on the fine grid, int32 [E] each, in the order of the walk; `polygon`: whose."""

    xs: Array
    ys: Array
    xe: Array
    ye: Array
    polygon: Array


class _RunLengths(NamedTuple):
    """Run lengths of all polygons, one after the other, int32 [N]; where those of each begin and end, int64 [P]."""

    lengths: Array
    starts: Array
    ends: Array


def rasterise(polygons: list[list[float]], heights: Array, widths: Array) -> tuple[list[str], list[bool]]:
    """The compressed run lengths of each polygon (x, y, x, y, …) over an image of that height and width, int32 [P].

    The second list says which are sure: where it has False, for a number below 0, beyond `REACH` or above `LARGEST`,
    the first is meaningless. A polygon has three points or more, an image fewer than 2^31 pixels.
    """
    counts = np.fromiter(map(len, polygons), np.int64, len(polygons))
    numbers = np.fromiter(chain.from_iterable(polygons), np.float64, int(counts.sum()))
    starts = np.cumsum(counts) - counts
    reach = np.minimum(REACH * np.maximum(heights, widths), LARGEST)
    sure = (np.minimum.reduceat(numbers, starts) >= 0) & (np.maximum.reduceat(numbers, starts) <= reach)
    if not sure.all():
        numbers[np.repeat(~sure, counts)] = 0
    ends = (np.arange(len(polygons)) << _PLACE_BITS) + heights * widths.astype(np.int64)
    edges = _crossing(_edges(numbers.reshape(-1, 2), counts // 2))
    keys = np.concatenate([_crossings(edges, heights, widths), ends])
    keys.sort(kind="stable")  # most of a walk is in order; numpy's quicksort is slow on some CPUs
    return _texts(_run_lengths(keys, ends)), sure.tolist()


def _edges(points: Array, counts: Array) -> _Edges:
    """From each point to the next one of its polygon, and from the last to the first."""
    x, y = (FINE * points.T + 0.5).astype(np.int32)
    following = np.arange(1, len(points) + 1)
    ends = np.cumsum(counts)
    following[ends - 1] = ends - counts
    return _Edges(x, y, x[following], y[following], np.repeat(np.arange(len(counts)), counts))


def _crossing(edges: _Edges) -> _Edges:
    """The edges that cross from a column to another."""
    chosen = np.flatnonzero((edges.xs + 2) // FINE != (edges.xe + 2) // FINE)
    return _Edges(*(values[chosen] for values in edges))


def _crossings(edges: _Edges, heights: Array, widths: Array) -> Array:
    """The keys of all crossings, edge by edge in the order of the walk."""
    right = edges.xs < edges.xe
    first = (np.minimum(edges.xs, edges.xe) + 2) // FINE
    last = np.minimum((np.maximum(edges.xs, edges.xe) - 3) // FINE, widths[edges.polygon] - 1)
    count = np.maximum(last - first + 1, 0)
    ends = np.cumsum(count, dtype=np.int32)

    def each(values: Array) -> Array:  # an edge's value for each of its crossings
        return np.repeat(values, count)

    # Columns first, first + 1, … last of each edge, or the other way round.
    step = 2 * right.astype(np.int32) - 1
    begin = np.where(right, first, last) - step * (ends - count)
    column = each(begin) + each(step) * np.arange(ends[-1] if len(ends) else 0, dtype=np.int32)
    walk = _walk(edges)
    gain = walk.height / walk.width
    row = each(_offset(walk, gain)) + each(gain) * column
    near = np.flatnonzero(np.abs(row - np.rint(row)) < _DOUBTFUL)
    edge = np.searchsorted(ends, near, "right")
    row[near] = _walked_to(_Walk(*(values[edge] for values in walk)), FINE * column[near] + 2)
    height = each(heights[edges.polygon])
    place = column * height + np.minimum(row.astype(np.int32), height)
    keys: Array = each(edges.polygon << _PLACE_BITS) + place
    return keys


class _Walk(NamedTuple):
    """Edges as pycocotools walks them, int32 [E] and bool [E]: from (x, y), `steep` ones downwards from row to row,
    flat ones to the right from column to column, `width` columns and `height` rows far."""

    x: Array
    y: Array
    width: Array
    height: Array
    steep: Array


def _walk(edges: _Edges) -> _Walk:
    steep = np.abs(edges.xe - edges.xs) < np.abs(edges.ye - edges.ys)
    forward = np.where(steep, edges.ys <= edges.ye, edges.xs <= edges.xe)
    x, y = np.where(forward, edges.xs, edges.xe), np.where(forward, edges.ys, edges.ye)
    width, height = np.where(forward, edges.xe, edges.xs) - x, np.where(forward, edges.ye, edges.ys) - y
    return _Walk(x, y, width, height, steep)


def _offset(walk: _Walk, gain: Array) -> Array:
    """What `gain` times the column is to be added to: the whole part of the sum is the row of pixels below which an
    edge passes from that column to the next one. Of a flat walk's two rows there the upper one counts."""
    fine = np.where(walk.steep, 2.5, 2 + (gain < 0))
    offset: Array = (walk.y + gain * (fine - walk.x) + np.where(walk.steep, 2, 2.5)) / FINE
    return offset


def _walked_to(walk: _Walk, fine: Array) -> Array:
    """That row where the sum is too close to a whole number: with the walk's own roundings, from that fine column to
    the next one."""
    slope = np.where(walk.steep, walk.width / np.maximum(walk.height, 1), walk.height / walk.width)
    flat = (walk.y + slope * (fine + (slope < 0) - walk.x) + 0.5).astype(np.int64)
    step = np.rint((fine - walk.x + 0.5) * (walk.height / walk.width)).astype(np.int64)
    is_right = (walk.x + slope * step + 0.5).astype(np.int64) > fine
    steep = walk.y + step - (is_right == (slope > 0))
    row: Array = (np.where(walk.steep, steep, flat) + 2) // FINE
    return row


def _run_lengths(keys: Array, photograph_ends: Array) -> _RunLengths:
    """From keys in order, those of the images' ends among them. Two crossings in one place undo each other."""
    again = np.flatnonzero(keys[1:] == keys[:-1])
    if len(again):
        kept = np.ones(len(keys), np.bool_)
        kept[again] = kept[again + 1] = False
        alike_from = again[np.diff(again, prepend=-2) > 1]
        alike_to = again[np.diff(again, append=len(keys) + 1) > 1] + 1
        odd = (alike_to - alike_from) % 2 == 0
        alike = keys[alike_to]
        kept[alike_to[odd | (alike == photograph_ends[alike >> _PLACE_BITS])]] = True
        keys = keys[kept]
    ends = np.searchsorted(keys, photograph_ends) + 1
    starts = np.concatenate([[0], ends[:-1]])
    places = keys.astype(np.int32)  # the lower bits
    lengths = np.diff(places, prepend=np.int32(0))
    lengths[starts] = places[starts]
    return _RunLengths(lengths, starts, ends)


def _texts(runs: _RunLengths) -> list[str]:
    """COCO's compressed string of each polygon's run lengths: five bits and a sixth for more in a character, and from
    the fourth length on the difference to the one before the last."""
    numbers = runs.lengths.copy()
    numbers[2:] -= runs.lengths[:-2]
    for nth in range(3):
        whole = (runs.starts + nth)[runs.starts + nth < runs.ends]
        numbers[whole] = runs.lengths[whole]
    characters = _characters(numbers)
    ends = np.cumsum(characters, dtype=np.int64)
    text = np.empty(ends[-1], np.uint8)
    at = ends - characters
    while len(numbers):
        more = characters > 1
        text[at] = (numbers.astype(np.uint8) & 31) + 48 + 32 * more.astype(np.uint8)
        further = np.flatnonzero(more)
        numbers, at, characters = numbers[further] >> 5, at[further] + 1, characters[further] - 1
    joined = text.tobytes().decode("ascii")
    cuts = [0, *ends[runs.ends - 1].tolist()]
    return [joined[start:end] for start, end in pairwise(cuts)]


def _characters(numbers: Array) -> Array:
    """How many characters each number takes: a digit's uppermost bit tells the sign."""
    size = numbers ^ (numbers >> 31)
    characters, largest, bound = np.ones(len(numbers), np.uint8), int(size.max()), 16
    while largest >= bound:
        characters += size >= bound
        bound <<= 5
    return characters
