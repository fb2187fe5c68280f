"""Find the window of a held-out image that a candidate shows, by fitting one to the other."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.content.thumbnail import SIDE, Floats, Margins, Thumbnail

_STEPS = 10
# A search starts within some hundredths of a copy's window; if it goes farther, there is no copy.
_FARTHEST = 0.15
_SMOOTHING = 1.0
_BORDER = 3
_DIAGONAL = np.diag_indices(6)


@dataclass(frozen=True)
class Window:
    """A part of an image: half its extent and its center on both axes; the image reaches from -1 to 1."""

    half_width: float
    center_x: float
    half_height: float
    center_y: float

    @classmethod
    def within(cls, margins: Margins) -> "Window":
        """The window with these margins."""
        left, top, right, bottom = margins
        return cls(1 - left - right, left - right, 1 - top - bottom, top - bottom)

    def margins(self) -> Margins:
        """The distances from the image's edges, as fractions of its sides; negative where it reaches beyond an edge."""
        return (
            (1 + self.center_x - self.half_width) / 2,
            (1 + self.center_y - self.half_height) / 2,
            (1 - self.center_x - self.half_width) / 2,
            (1 - self.center_y - self.half_height) / 2,
        )


def smooth(picture: Thumbnail | Floats, size: int = SIDE) -> Floats:
    """Scale a square image to float32[size, size] and blur away the pixel noise, which differs between copies."""
    scaled = picture if size == len(picture) else cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    smoothed: Floats = cv2.GaussianBlur(scaled.astype(np.float32), (0, 0), _SMOOTHING)
    return smoothed


def register(held_out: Floats, candidate: Floats, start: Window) -> Window | None:
    """Find the window of `held_out` that is most like the whole `candidate`; None if the search goes far from `start`.

    Both float32[size, size]. Gauss-Newton on the squared difference over scale and shift of both axes, with the
    candidate's gain and offset as two more unknowns. The outermost pixels do not count: `held_out` was smoothed with
    what lies beyond the window.
    """
    size = len(held_out)
    fit = first = np.array([start.half_width, start.center_x, start.half_height, start.center_y])
    slopes = cv2.Sobel(held_out, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(held_out, cv2.CV_32F, 0, 1, scale=1 / 8)
    weights = np.zeros((size, size), np.float32)
    weights[_BORDER:-_BORDER, _BORDER:-_BORDER] = 1
    jacobian = np.empty((6, size, size), np.float32)
    jacobian[4], jacobian[5] = -candidate * weights, -weights
    for _ in range(_STEPS):
        step = _step(held_out, slopes, weights, jacobian, Window(*fit.tolist()))
        fit = fit + step
        if not np.abs(fit - first).max() < _FARTHEST:
            return None
        if np.abs(step).max() < 0.05 / size:
            break
    return Window(*fit.tolist())


def cut(picture: Floats, window: Window) -> Floats:
    """Cut the window out and stretch it to the image's size; beyond the edges the last pixels are repeated."""
    size = len(picture)
    middle = (size - 1) / 2
    transform = [
        [window.half_width, 0.0, middle * (1 - window.half_width) + window.center_x * size / 2],
        [0.0, window.half_height, middle * (1 - window.half_height) + window.center_y * size / 2],
    ]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part: Floats = cv2.warpAffine(
        picture, np.array(transform), (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return part


def _step(
    held_out: Floats, slopes: tuple[Floats, Floats], weights: Floats, jacobian: Floats, window: Window
) -> npt.NDArray[np.float64]:
    """Compute by how much to change the window's four numbers; fills the first four of the jacobian's six images."""
    size = len(held_out)
    at = (np.arange(size, dtype=np.float32) - (size - 1) / 2) / (size / 2)
    for axis, (slope, along) in enumerate(zip(slopes, (at, at[:, None]), strict=True)):
        np.multiply(cut(slope, window), weights * (size / 2), out=jacobian[2 * axis + 1])
        np.multiply(jacobian[2 * axis + 1], along, out=jacobian[2 * axis])
    rows = jacobian.reshape(6, -1)
    normal = (rows @ rows.T).astype(np.float64)
    # A picture without slopes in one direction leaves that shift undetermined: then it stays where it is. Gain and
    # offset are estimated again in each step, and must not be drawn to zero.
    diagonal = normal[_DIAGONAL]
    diagonal[:4] += 1e-6 * diagonal[:4].sum() + 1e-9
    diagonal[4:] *= 1 + 1e-6
    normal[_DIAGONAL] = diagonal
    residual = cut(held_out, window) * weights
    towards = (rows @ -residual.reshape(-1)).astype(np.float64)
    return np.asarray(np.linalg.solve(normal, towards)[:4], np.float64)
