"""Place objects in the frame: pairs overlap a good deal, everything else keeps apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_prep.toy_world.classes import ToyClass
from data_prep.toy_world.shapes import draw_shape

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, right and bottom exclusive
Frame = tuple[int, int]  # height, width in pixels

SIZE_RANGE = (32.0, 68.0)  # longer side in pixels
SMALLEST_SCALE = 0.8  # of those sizes, reached step by step while no room is found
TRIES = 40
PAIR_BOX_IOU = (0.4, 0.85)
SMALLEST_VISIBLE_SHARE = 0.42  # of the object behind, in a pair
LARGEST_STRAY_OVERLAP = 0.1  # of the smaller box, between objects that are no pair
CROWD_SIZES = (12.0, 18.0)


@dataclass(frozen=True)
class Piece:
    """An object to be painted: ``coverage`` (h, w) float32 in 0 … 1, with its upper left corner."""

    toy_class: ToyClass
    coverage: Floats
    left: int = 0
    top: int = 0
    in_crowd: bool = False

    @property
    def box(self) -> Box:
        height, width = self.coverage.shape
        return self.left, self.top, self.left + width, self.top + height

    @property
    def window(self) -> tuple[slice, slice]:
        left, top, right, bottom = self.box
        return slice(top, bottom), slice(left, right)

    def moved(self, right: int, down: int) -> "Piece":
        return replace(self, left=self.left + right, top=self.top + down)


def place_single(rng: np.random.Generator, toy_class: ToyClass, frame: Frame, others: Sequence[Piece]) -> list[Piece]:
    """One object apart from ``others``, or an empty list where no room is found."""
    for attempt in range(TRIES):
        piece = Piece(toy_class, draw_shape(rng, _draw_size(rng, attempt)))
        placed = _drop_into_frame(rng, [piece], frame, others)
        if placed:
            return placed
    return []


def place_pair(
    rng: np.random.Generator, members: Sequence[ToyClass], frame: Frame, others: Sequence[Piece]
) -> list[Piece]:
    """Two overlapping objects, the one behind first, apart from ``others``; empty where no room is found."""
    for attempt in range(TRIES):
        behind, front = (Piece(member, draw_shape(rng, _draw_size(rng, attempt))) for member in members)
        shifted = _overlap(rng, behind, front)
        placed = _drop_into_frame(rng, [behind, shifted], frame, others) if shifted else []
        if placed:
            return placed
    return []


def place_crowd(rng: np.random.Generator, toy_class: ToyClass, frame: Frame) -> list[Piece]:
    """Seven to ten small objects of one class close together, in an empty image."""
    pieces = []
    for number in range(rng.integers(7, 11)):
        column, row = number % 4, number // 4
        left, top = 14 * column + int(rng.integers(5)), 14 * row + int(rng.integers(5))
        coverage = draw_shape(rng, float(rng.uniform(*CROWD_SIZES)))
        pieces.append(Piece(toy_class, coverage, left, top, in_crowd=True))
    return _drop_into_frame(rng, pieces, frame, [])


def _draw_size(rng: np.random.Generator, attempt: int) -> float:
    shrunk = 1 - (1 - SMALLEST_SCALE) * attempt / (TRIES - 1)
    return float(rng.uniform(*SIZE_RANGE)) * shrunk


def _overlap(rng: np.random.Generator, behind: Piece, front: Piece) -> Piece | None:
    """Moves ``front`` over ``behind`` so that their boxes overlap as `PAIR_BOX_IOU` asks, both still seen."""
    (behind_h, behind_w), (front_h, front_w) = behind.coverage.shape, front.coverage.shape
    centered = front.moved((behind_w - front_w) // 2, (behind_h - front_h) // 2)
    reach_x, reach_y = (behind_w + front_w) // 4, (behind_h + front_h) // 4
    for _ in range(12):
        moved = centered.moved(*(int(rng.integers(-reach, reach + 1)) for reach in (reach_x, reach_y)))
        shared = _shared_area(behind.box, moved.box)
        iou = shared / (_area(behind.box) + _area(moved.box) - shared)
        if PAIR_BOX_IOU[0] <= iou <= PAIR_BOX_IOU[1] and _visible_share(behind, moved) > SMALLEST_VISIBLE_SHARE:
            return moved
    return None


def _visible_share(behind: Piece, front: Piece) -> float:
    seen = behind.coverage.copy()
    height, width = seen.shape
    left, top, right, bottom = front.box
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    inside = front.coverage[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    seen[rows, columns] *= 1 - inside
    return float(seen.sum() / behind.coverage.sum())


def _drop_into_frame(
    rng: np.random.Generator, pieces: list[Piece], frame: Frame, others: Sequence[Piece]
) -> list[Piece]:
    """Moves all pieces together to a random position wholly in the frame and apart from ``others``."""
    lefts, tops, rights, bottoms = zip(*(piece.box for piece in pieces), strict=True)
    left, top = min(lefts), min(tops)
    room_right, room_down = frame[1] - (max(rights) - left), frame[0] - (max(bottoms) - top)
    if room_right < 0 or room_down < 0:
        return []
    for _ in range(8):
        x, y = int(rng.integers(room_right + 1)) - left, int(rng.integers(room_down + 1)) - top
        moved = [piece.moved(x, y) for piece in pieces]
        if not any(_strays_into(piece.box, other.box) for piece in moved for other in others):
            return moved
    return []


def _strays_into(box: Box, other: Box) -> bool:
    return _shared_area(box, other) > LARGEST_STRAY_OVERLAP * min(_area(box), _area(other))


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared_area(box: Box, other: Box) -> int:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0) * max(height, 0)
