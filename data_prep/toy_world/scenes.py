"""One image of the toy world: overlapping objects of one group in pairs, on grey clutter."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.toy_world.classes import GROUPS, TEXTURES, Style, ToyClass, groups, rare_classes, rare_weights
from data_prep.toy_world.placing import Piece, place_crowd, place_pair, place_single
from data_prep.toy_world.shapes import draw_shape
from data_prep.toy_world.textures import FINE_PERIOD, draw_pattern, paint

Floats = NDArray[np.float32]

SQUARE, LANDSCAPE = (128, 128), (96, 128)  # height, width in pixels
LANDSCAPE_SHARE = 0.1
TWO_PAIRS_SHARE = 0.6
SINGLES_SHARES = (0.6, 0.3, 0.1)  # fractions of images with no, one, two single objects beside one pair
RARE_SHARE = 0.37  # images with a rare object, where rare classes may occur: 8 % of all objects
SMALLEST_PART = 10  # pixels; a smaller part of an object, peeping out behind another, is not annotated
CAMERA_NOISE = 3.0  # standard deviation in gray levels


@dataclass(frozen=True)
class SeenObject:
    """An object as the finished image shows it.

    ``coverage`` is (height, width) float32, the fraction of each pixel in which the object is seen, after
    everything in front of it. Members of a crowd are listed one by one with ``in_crowd`` set.
    """

    toy_class: ToyClass
    coverage: Floats
    in_crowd: bool

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(height, width) bool: the pixels of which the object fills more than half."""
        return self.coverage > 0.5


@dataclass(frozen=True)
class Scene:
    """An image as drawn: ``pixels`` is (height, width, 3) uint8 RGB; ``objects`` are ordered from back to front."""

    pixels: NDArray[np.uint8]
    objects: tuple[SeenObject, ...]


def draw_scene(rng: np.random.Generator, style: Style, *, with_rare: bool, with_crowd: bool) -> Scene:
    """Draws an image of two to five objects, or of a crowd with others, from ``rng`` alone.

    ``with_rare`` lets rare classes occur; ``with_crowd`` puts a cluster of small objects in it.
    """
    height, width = LANDSCAPE if rng.random() < LANDSCAPE_SHARE else SQUARE
    pieces = _place_pieces(rng, style, (height, width), with_rare=with_rare, with_crowd=with_crowd)
    pixels = _grey_clutter(rng, height, width)
    coverages: list[Floats] = []
    for piece in pieces:
        coverage = np.zeros((height, width), dtype=np.float32)
        rows, columns = piece.window
        coverage[rows, columns] = piece.coverage
        paint_over(pixels[rows, columns], paint(rng, piece.toy_class, *piece.coverage.shape), piece.coverage)
        coverages = [behind * (1 - coverage) for behind in coverages] + [coverage]
    pixels += rng.standard_normal((height, width, 3), dtype=np.float32) * np.float32(CAMERA_NOISE)
    objects = (
        SeenObject(piece.toy_class, _without_specks(coverage), piece.in_crowd)
        for piece, coverage in zip(pieces, coverages, strict=True)
    )
    return Scene(np.clip(pixels, 0, 255).astype(np.uint8), tuple(o for o in objects if o.mask.any()))


def paint_over(pixels: Floats, colors: Floats, coverage: Floats) -> None:
    """Blends ``colors`` into ``pixels`` in place, by ``coverage``."""
    pixels += coverage[..., None] * (colors - pixels)


def _without_specks(coverage: Floats) -> Floats:
    """Clears the parts of the mask that are too small for anybody to outline."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((coverage > 0.5).astype(np.uint8), connectivity=8)
    specks = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < SMALLEST_PART)
    if len(specks) == 0:
        return coverage
    return np.where(np.isin(labels, specks), np.float32(0), coverage)


def _place_pieces(
    rng: np.random.Generator, style: Style, frame: tuple[int, int], *, with_rare: bool, with_crowd: bool
) -> list[Piece]:
    """Chooses classes and places them, what takes most room first; what finds no room stays out."""
    placed: list[Piece] = []
    if with_crowd:
        placed += place_crowd(rng, _draw_members(rng, style, 1)[0], frame)
    two_pairs = not with_crowd and rng.random() < TWO_PAIRS_SHARE
    for _ in range(2 if two_pairs else 1):
        placed += place_pair(rng, _draw_members(rng, style, 2), frame, placed)
    alone = [] if two_pairs else _draw_members(rng, style, int(rng.choice(3, p=SINGLES_SHARES)))
    if with_rare and rng.random() < RARE_SHARE:
        rare = rare_classes(style)
        alone.append(rare[rng.choice(len(rare), p=rare_weights(style))])
    for toy_class in alone:
        placed += place_single(rng, toy_class, frame, placed)
    return placed


def _draw_members(rng: np.random.Generator, style: Style, count: int) -> list[ToyClass]:
    """Different classes of one group, so that overlapping objects differ in appearance alone."""
    group: Sequence[ToyClass] = groups(style)[rng.integers(GROUPS)]
    return [group[i] for i in rng.choice(len(group), size=count, replace=False)]


def _grey_clutter(rng: np.random.Generator, height: int, width: int) -> Floats:
    """A background with the objects' own shapes and textures, all in grey: (height, width, 3) float32."""
    cloud = rng.normal(rng.uniform(90, 165), 22, size=(6, 6)).astype(np.float32)
    grey: Floats = cv2.resize(cloud, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    for _ in range(rng.integers(4, 9)):
        coverage = draw_shape(rng, float(rng.uniform(14, 50)))
        h, w = coverage.shape
        top, left = rng.integers(0, height - h // 2), rng.integers(0, width - w // 2)
        pattern = draw_pattern(rng, str(rng.choice(TEXTURES)), h, w, float(rng.uniform(*FINE_PERIOD)))
        light, dark = np.float32(rng.uniform(110, 225)), np.float32(rng.uniform(30, 110))
        window = grey[top : top + h, left : left + w]
        inside = (slice(window.shape[0]), slice(window.shape[1]))
        paint_over(window, (dark + pattern * (light - dark))[inside][..., None], coverage[inside])
    return np.repeat(grey, 3, axis=2)
