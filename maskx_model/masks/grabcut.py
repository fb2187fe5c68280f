"""GrabCut: masks from boxes without learning, the baseline of Table 2, at test time or as training targets."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from data_prep.format.records import Rle
from maskx_model.masks.pasting import encode_part

MARGIN = 0.5
"""What surrounds a box by this fraction of its sides is used as background, and no more: the cost is the box's, not
the image's."""
SMALLEST_SIDE = 4
"""Pixels. A smaller box is filled: it has too few colors to separate object from background."""
ITERATIONS = 5

Image = npt.NDArray[np.uint8]


class BoxMasks(NamedTuple):
    """A mask over the whole image for each box, and of how many boxes the mask is the box itself."""

    masks: list[Rle]
    filled: int


def grabcut_masks(image: Image, boxes: npt.NDArray[np.floating]) -> BoxMasks:
    """The foreground of each box by its colors: image uint8 [H, W, 3] RGB, boxes xyxy [N, 4] in its pixels.

    Everything outside a box is background, and each pixel that it touches may be foreground. A box is filled, and
    counted, where that tells nothing: it is smaller than 4 pixels, nothing surrounds it, or no foreground is left. A
    box outside the image has an empty mask. The same input gives the same masks.
    """
    height, width = image.shape[:2]
    found, filled = [], 0
    for box in boxes:
        left, top = (int(np.floor(edge).clip(0, size)) for edge, size in zip(box[:2], (width, height), strict=True))
        right, bottom = (int(np.ceil(edge).clip(0, size)) for edge, size in zip(box[2:], (width, height), strict=True))
        part = _foreground(image, left, top, max(right, left), max(bottom, top))
        if part is None:
            filled += 1
            part = np.ones((max(bottom - top, 0), max(right - left, 0)), np.bool_)
        found.append(encode_part(part, left, top, (height, width)))
    return BoxMasks(found, filled)


def _foreground(image: Image, left: int, top: int, right: int, bottom: int) -> npt.NDArray[np.bool_] | None:
    """The bitmap [bottom - top, right - left] of a box of whole pixels; None where GrabCut has no answer."""
    if min(right - left, bottom - top) < SMALLEST_SIDE:
        return None
    height, width = image.shape[:2]
    x, y = round(MARGIN * (right - left)), round(MARGIN * (bottom - top))
    window = image[max(top - y, 0) : min(bottom + y, height), max(left - x, 0) : min(right + x, width)]
    x, y = min(x, left), min(y, top)
    inside = (slice(y, y + bottom - top), slice(x, x + right - left))
    kinds = np.full(window.shape[:2], cv2.GC_BGD, np.uint8)
    kinds[inside] = cv2.GC_PR_FGD
    if (kinds == cv2.GC_PR_FGD).all():
        return None
    cv2.setRNGSeed(0)  # its color clusters begin at random pixels
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(window), kinds, None, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    foreground: npt.NDArray[np.bool_] = kinds[inside] == cv2.GC_PR_FGD
    return foreground if foreground.any() else None
