"""Small pictures with the look of images, their copies, and their neighbours in a burst."""

import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]

# Left, top, right, bottom, as shares of the sides.
CROPS = {
    "whole": (0.0, 0.0, 0.0, 0.0),
    "left": (0.05, 0.0, 0.0, 0.0),
    "bottom": (0.0, 0.0, 0.0, 0.05),
    "corner": (0.05, 0.05, 0.0, 0.0),
    "all round": (0.05, 0.05, 0.05, 0.05),
    "unequal": (0.02, 0.045, 0.03, 0.01),
}


def scene(seed: int, width: int = 320, height: int = 240) -> Picture:
    """Clouds of every size, as images have them, and some discs with edges; another scene for every seed."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.uniform(80, 170, 3), np.float32)
    for cells in (2, 4, 8, 16, 32, 64):
        clouds = rng.normal(0, 90 / cells**0.7, (cells, cells + 1, 3)).astype(np.float32)
        picture += cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(5):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(picture, at, int(rng.integers(8, 30)), rng.uniform(0, 255, 3).tolist(), -1, cv2.LINE_AA)
    return picture.clip(0, 255).astype(np.uint8)


def gradient(low: float, high: float, seed: int, width: int = 320, height: int = 240) -> Picture:
    """A clear sky: from `low` at the top to `high` at the bottom, with a sensor's noise."""
    ramp = np.linspace(low, high, height)[:, None, None] + np.zeros((height, width, 3))
    return (ramp + np.random.default_rng(seed).normal(0, 1.5, ramp.shape)).clip(0, 255).astype(np.uint8)


def encoded(picture: Picture, quality: int = 90) -> bytes:
    """As JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def copied(picture: Picture, crop: str = "whole", scale: float = 1.0, quality: int = 50) -> bytes:
    """A copy, cropped as CROPS says, then resized, as JPEG."""
    left, top, right, bottom = CROPS[crop]
    height, width, _ = picture.shape
    part = picture[round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)]
    return encoded(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), quality)


def burst(seed: int, camera: float = 0.0, parallax: float = 0.0, subject: float = 0.0, frame: int = 0) -> Picture:
    """A frame of a burst of one scene; frames differ in their noise, and in what the other numbers say.

    `camera`, `parallax` and `subject` are shares of the width: how far everything moved, how much farther what is near
    (the lower half), and how far the subject in the middle moved.
    """
    wide = scene(seed, 400, 300)
    at = (round(200 + subject * 320), 150)
    cv2.ellipse(wide, at, (26, 44), 0, 0, 360, (40, 60, 170), -1, cv2.LINE_AA)
    cv2.ellipse(wide, at, (12, 30), 0, 0, 360, (220, 200, 60), -1, cv2.LINE_AA)
    rows, columns = np.mgrid[0:240, 0:320].astype(np.float32)
    near = (rows > 140).astype(np.float32)
    shown = cv2.remap(wide, columns + 40 + 320 * (camera + parallax * near), rows + 30, cv2.INTER_LINEAR)
    noise = np.random.default_rng((seed, frame)).normal(0, 3, shown.shape)
    frame_shown: Picture = (shown + noise).clip(0, 255).astype(np.uint8)
    return frame_shown
