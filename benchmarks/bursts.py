"""Frames of a burst, made from one image: what a camera that moves and a subject that moves change."""

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.real_sample import Mask, Pixels

# Every frame shows the image without this fraction on each side, so that a camera that moved sees something new.
MARGIN = 0.05


@dataclass(frozen=True)
class Movement:
    """What may happen between two frames, each as a range: of the camera's shift and the subject's as fractions of
    the width, of rotation in degrees, and of how much farther near things shift than far ones, as a fraction of the
    shift."""

    camera: tuple[float, float] = (0.0, 0.0)
    rotation: tuple[float, float] = (0.0, 0.0)
    parallax: tuple[float, float] = (0.0, 0.0)
    subject: tuple[float, float] = (0.0, 0.0)


STILL = Movement()


def frame(pixels: Pixels, subject: Mask | None, movement: Movement, random: np.random.Generator) -> Pixels:
    """A frame in which everything has moved as `movement` says, in a random direction, with new exposure and noise."""
    if subject is not None and movement.subject[1]:
        pixels = _move_subject(pixels, subject, *_direction(movement.subject, pixels.shape[1], random))
    seen = _move_camera(pixels, movement, random).astype(np.float32)
    exposed = seen * random.uniform(0.93, 1.08) + random.normal(0, 3, seen.shape)
    return exposed.clip(0, 255).astype(np.uint8)


def first_frame(pixels: Pixels) -> Pixels:
    """The frame whose neighbors the others are, without noise."""
    return _move_camera(pixels, STILL, np.random.default_rng(0))


def _direction(lengths: tuple[float, float], width: int, random: np.random.Generator) -> tuple[float, float]:
    angle, length = random.uniform(0, 2 * np.pi), random.uniform(*lengths) * width
    return length * np.cos(angle), length * np.sin(angle)


def _move_subject(pixels: Pixels, subject: Mask, right: float, down: float) -> Pixels:
    """The subject elsewhere, and what may have been behind it where it stood."""
    height, width = subject.shape
    hole = cv2.dilate(subject, np.ones((7, 7), np.uint8))
    filled = cv2.inpaint(_reduced(pixels, 0.25), _reduced(hole, 0.25), 3, cv2.INPAINT_TELEA)
    behind = np.where(hole[..., None] > 0, cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC), pixels)
    shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
    edge = cv2.GaussianBlur(cv2.warpAffine(subject.astype(np.float32), shift, (width, height)), (0, 0), 1)[..., None]
    moved = cv2.warpAffine(pixels, shift, (width, height))
    return (edge * moved + (1 - edge) * behind).astype(np.uint8)  # type: ignore[no-any-return]


def _reduced(pixels: Pixels, scale: float) -> Pixels:
    """Smaller, a mask without grey edges."""
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)  # type: ignore[no-any-return]


def _move_camera(pixels: Pixels, movement: Movement, random: np.random.Generator) -> Pixels:
    height, width, _ = pixels.shape
    down, right = np.mgrid[0:height, 0:width].astype(np.float32)
    right, down = right - width / 2, down - height / 2
    angle = np.deg2rad(random.uniform(*movement.rotation) * random.choice([-1, 1]))
    shift_right, shift_down = _direction(movement.camera, width, random)
    near = 1 + random.uniform(*movement.parallax) * (_depth(height, width, random) - 0.5)
    scale = 1 - 2 * MARGIN
    source_right = scale * (right * np.cos(angle) - down * np.sin(angle)) + shift_right * near + width / 2
    source_down = scale * (right * np.sin(angle) + down * np.cos(angle)) + shift_down * near + height / 2
    places = source_right.astype(np.float32), source_down.astype(np.float32)
    return cv2.remap(pixels, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)  # type: ignore[no-any-return]


def _depth(height: int, width: int, random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """How near things are, float32[height, width] of about 0 to 1: the ground in front, and some things beside."""
    ground = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    things = cv2.resize(random.uniform(0, 1, (4, 5)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return (ground + things) / 2  # type: ignore[no-any-return]
