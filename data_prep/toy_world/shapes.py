"""Outlines of objects. A shape is only a nuisance: every class has every shape, size and turn."""

import cv2
import numpy as np
from numpy.typing import NDArray

SUPERSAMPLING = 3
SHAPES = ("ellipse", "bar", "ring", "cross", "ell", "u", "tee", "triangle", "disc")
_FIXED_POINT_BITS = 4  # cv2 takes polygon corners in sixteenths of a pixel


def draw_shape(rng: np.random.Generator, size: float) -> NDArray[np.float32]:
    """A random shape, turned at random, whose longer side is about ``size`` pixels.

    Returns:
        (height, width) float32, the fraction of each pixel that the shape covers (0 … 1), cut to its box.
    """
    outline = _turned(_outline(rng, str(rng.choice(SHAPES))), rng.uniform(0, 2 * np.pi))
    outline -= outline.min(axis=0)
    outline *= size / outline.max()
    extent = np.ceil(outline.max(axis=0)).astype(int)
    fine = np.zeros((extent[1] * SUPERSAMPLING, extent[0] * SUPERSAMPLING), dtype=np.uint8)
    # cv2's integer coordinates are pixel centers, hence the half
    corners = np.round((outline * SUPERSAMPLING - 0.5) * 2**_FIXED_POINT_BITS).astype(np.int32)
    cv2.fillPoly(fine, [corners], 255, shift=_FIXED_POINT_BITS)
    coarse = cv2.resize(fine, (int(extent[0]), int(extent[1])), interpolation=cv2.INTER_AREA)
    return _cut_to_box(coarse.astype(np.float32) / np.float32(255))


def _turned(outline: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(angle), np.sin(angle)
    turned: NDArray[np.float64] = outline @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _cut_to_box(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Drops outer rows and columns that no pixel of the mask (coverage above one half) reaches."""
    rows, columns = np.flatnonzero((coverage > 0.5).any(axis=1)), np.flatnonzero((coverage > 0.5).any(axis=0))
    return coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _outline(rng: np.random.Generator, shape: str) -> NDArray[np.float64]:
    """(corners, 2) float64, x and y, in any unit: the caller scales."""
    thick = rng.uniform(0.36, 0.48)  # of arms, relative to a half extent of 1
    if shape == "disc":
        return _arc(0, 2 * np.pi, 1.0)
    if shape == "ellipse":
        return _arc(0, 2 * np.pi, 1.0) * [1.0, rng.uniform(0.45, 0.8)]
    if shape == "ring":
        # A thin slit leaves the ring in one piece without a hole: COCO's polygons cannot say "hole".
        inner = _arc(0.12, 2 * np.pi - 0.12, rng.uniform(0.45, 0.6))
        return np.concatenate([_arc(0.12, 2 * np.pi - 0.12, 1.0), inner[::-1]])
    if shape == "triangle":
        return np.array([[-1.0, 0.9], [1.0, 0.9], [rng.uniform(-0.7, 0.7), -0.9]])
    half_height = rng.uniform(0.75, 1.0)
    return np.array(_straight_corners(shape, thick)) * [1.0, half_height]


def _arc(start: float, end: float, radius: float) -> NDArray[np.float64]:
    angles = np.linspace(start, end, 48)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _straight_corners(shape: str, t: float) -> list[tuple[float, float]]:
    """Shapes made of arms of half-width ``t`` (bar, cross) or width ``w`` (the letters)."""
    w = 1.6 * t
    corners: dict[str, list[tuple[float, float]]] = {
        "bar": [(-1, -t), (1, -t), (1, t), (-1, t)],
        "cross": [
            *[(-t, -1), (t, -1), (t, -t), (1, -t), (1, t), (t, t)],
            *[(t, 1), (-t, 1), (-t, t), (-1, t), (-1, -t), (-t, -t)],
        ],
        "ell": [(-1, -1), (w - 1, -1), (w - 1, 1 - w), (1, 1 - w), (1, 1), (-1, 1)],
        "u": [(-1, -1), (w - 1, -1), (w - 1, 1 - w), (1 - w, 1 - w), (1 - w, -1), (1, -1), (1, 1), (-1, 1)],
        "tee": [(-1, -1), (1, -1), (1, w - 1), (t, w - 1), (t, 1), (-t, 1), (-t, w - 1), (-1, w - 1)],
    }
    return corners[shape]
