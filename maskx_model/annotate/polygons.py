"""Masks as polygons that annotation tools edit."""

import cv2
import numpy as np

from data_prep.format.records import Rle
from data_prep.format.rle import decode_mask


def mask_polygons(mask: Rle, tolerance: float) -> list[list[float]]:
    """The outlines of the mask's parts (x, y, x, y, … in pixels, along the edges of pixels), with as few corners as
    leave every point within `tolerance` pixels of its place. 0 keeps them all.

    Holes are filled: COCO's polygons have none.
    """
    bitmap = decode_mask(mask).astype(np.uint8)
    rows, columns = (np.flatnonzero(bitmap.any(axis)) for axis in (1, 0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    part = bitmap[top : rows[-1] + 1, left : columns[-1] + 1]
    # Each pixel becomes 2 × 2, through whose middles OpenCV's outlines run; rounded up, those lie on the pixel's edges.
    outlines, _ = cv2.findContours(part.repeat(2, 0).repeat(2, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    polygons = []
    for outline in outlines:
        corners = ((outline + 1) // 2 + (left, top)).astype(np.float32)
        simple = cv2.approxPolyDP(corners, tolerance, closed=True)
        polygons.append((simple if len(simple) > 2 else corners).ravel().tolist())
    return polygons
