"""Two-tone textures, painted in an object's own pixel frame; the texture defines a class.

Each pattern is a function of pixel coordinates that says how far inside a light patch a pixel lies, in
pixels, so that clipping it at half a pixel gives smooth edges at any period.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.toy_world.classes import HUES, ToyClass

Floats = NDArray[np.float32]

FINE_PERIOD = (6.5, 9.5)  # pixels
COARSE_PERIOD = (13.0, 19.0)  # pixels, for two colors that must both be seen
HUE_JITTER = 6 / 360  # of the color circle: a fifth of the way to the neighboring hue
OBJECT_NOISE = 5.0  # standard deviation in gray levels
COARSE_PATTERNS = ("striped", "halved", "checked")


@dataclass(frozen=True)
class Ground:
    """What a pattern is drawn on: turned coordinates ``u`` and ``v``, (height, width), and ``period``, in pixels."""

    rng: np.random.Generator
    u: Floats
    v: Floats
    period: float


def paint(rng: np.random.Generator, toy_class: ToyClass, height: int, width: int) -> Floats:
    """Colors for an object of that class.

    Returns:
        (height, width, 3) float32, RGB, about 0 … 255 (noise may leave that range).
    """
    texture, period_range = toy_class.texture, FINE_PERIOD
    if texture == "coarse":
        texture, period_range = str(rng.choice(COARSE_PATTERNS)), COARSE_PERIOD
    light, dark = _two_tones(rng, toy_class)
    pattern = draw_pattern(rng, texture, height, width, float(rng.uniform(*period_range)))
    noise = rng.standard_normal((height, width, 1), dtype=np.float32) * np.float32(OBJECT_NOISE)
    painted: Floats = dark + pattern[..., None] * (light - dark) + noise
    return painted


def draw_pattern(rng: np.random.Generator, texture: str, height: int, width: int, period: float) -> Floats:
    """A texture without its colors, turned and shifted at random: (height, width) float32, 0 dark, 1 light."""
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, 40, size=2)
    if texture in ("ringed", "halved"):  # these two are drawn about the object's center
        shift *= 0
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(height / 2)
    x = np.arange(width, dtype=np.float32)[None, :] - np.float32(width / 2)
    u, v = cosine * x + sine * y + np.float32(shift[0]), cosine * y - sine * x + np.float32(shift[1])
    pattern: Floats = np.clip(_PATTERNS[texture](Ground(rng, u, v, period)) + np.float32(0.5), 0, 1)
    return pattern


def _two_tones(rng: np.random.Generator, toy_class: ToyClass) -> tuple[Floats, Floats]:
    """Two tones of one hue, or one tone of each of two hues; all lightnesses occur in every class."""
    hues = [hue / HUES + float(rng.uniform(-HUE_JITTER, HUE_JITTER)) for hue in toy_class.hues]
    saturation = float(rng.uniform(0.75, 0.95))
    bright, dim = float(rng.uniform(0.85, 1.0)), float(rng.uniform(0.4, 0.5))
    if len(hues) == 2:
        value = float(rng.uniform(0.7, 1.0))
        return _rgb(hues[0], saturation, value), _rgb(hues[1], saturation, value)
    if toy_class.texture == "solid":
        tone = _rgb(hues[0], saturation, float(rng.uniform(dim, bright)))
        return tone, tone
    return _rgb(hues[0], saturation, bright), _rgb(hues[0], saturation, dim)


def _rgb(hue: float, saturation: float, value: float) -> Floats:
    return np.asarray(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), dtype=np.float32) * np.float32(255)


def _wave(coordinate: Floats, period: float) -> Floats:
    """A sine whose slope is 1 where it crosses zero, so that it reads as a distance in pixels there."""
    wave: Floats = np.sin(coordinate * np.float32(2 * np.pi / period)) * np.float32(period / (2 * np.pi))
    return wave


def _solid(ground: Ground) -> Floats:
    return np.ones_like(ground.u)


def _striped(ground: Ground) -> Floats:
    return _wave(ground.u, ground.period)


def _dotted(ground: Ground) -> Floats:
    radius, half = np.float32(0.34 * ground.period), np.float32(ground.period / 2)
    across, along = (((c + half) % (2 * half)) - half for c in (ground.u, ground.v))
    to_edge: Floats = radius - np.sqrt(across * across + along * along)
    return to_edge


def _checked(ground: Ground) -> Floats:
    period = 1.4 * ground.period  # a check is wider than a stripe, or checks would blur away
    return _wave(ground.u, period) * _wave(ground.v, period) * np.float32(4 * np.pi / period)


def _blotched(ground: Ground) -> Floats:
    height, width = ground.u.shape
    cells = (max(3, round(1.6 * height / ground.period)), max(3, round(1.6 * width / ground.period)))
    noise = ground.rng.standard_normal(cells, dtype=np.float32)
    smooth: Floats = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return smooth * np.float32(ground.period / 3)


def _ringed(ground: Ground) -> Floats:
    return _wave(np.hypot(ground.u, ground.v), ground.period)


def _halved(ground: Ground) -> Floats:
    return ground.u


_PATTERNS: dict[str, Callable[[Ground], Floats]] = {
    "solid": _solid,
    "striped": _striped,
    "dotted": _dotted,
    "checked": _checked,
    "blotched": _blotched,
    "ringed": _ringed,
    "halved": _halved,
}
