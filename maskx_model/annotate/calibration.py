"""How sure a mask is, and what that foretells: certainty → IoU, learned on objects whose masks are known."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from torch import Tensor

from data_prep.storage.errors import DataError
from maskx_model.masks.pasting import MASK_THRESHOLD

FEWEST = 50
"""With fewer known masks there is no calibration."""
BINS = 20


def certainty(probabilities: Tensor) -> list[float]:
    """The mean of |2p − 1| within each mask: probabilities float32 [N, 28, 28] → N numbers in 0..1, 0 for an empty
    mask."""
    inside = probabilities > MASK_THRESHOLD
    sums = ((2 * probabilities - 1) * inside).sum((1, 2))
    means: list[float] = (sums / inside.sum((1, 2)).clamp(min=1)).tolist()
    return means


class Calibration(msgspec.Struct, frozen=True):
    """A rising line from certainty to IoU, by its corners; both in 0..1. `objects`: how many it was learned on."""

    certainty: tuple[float, ...]
    iou: tuple[float, ...]
    objects: int

    def score(self, certainties: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The IoU that certainties [N] foretell, [N]."""
        return np.interp(certainties, self.certainty, self.iou)


def fit_calibration(certainties: Sequence[float], ious: Sequence[float]) -> Calibration:
    """The rising line from 0 through the means of 20 equal groups; those that would fall are joined to their neighbors.

    Raises DataError for fewer than 50 masks, which would foretell nothing.
    """
    if len(certainties) < FEWEST:
        raise DataError(f"{len(certainties)} known masks of the model's classes; calibration takes {FEWEST} or more")
    order = np.argsort(certainties, kind="stable")
    pairs = np.stack([np.asarray(certainties, np.float64), np.asarray(ious, np.float64)], axis=1)[order]
    blocks: list[npt.NDArray[np.float64]] = []
    for group in np.array_split(pairs, BINS):
        blocks.append(group)
        while len(blocks) > 1 and blocks[-2][:, 1].mean() > blocks[-1][:, 1].mean():
            blocks[-2:] = [np.concatenate(blocks[-2:])]
    x, y = ((0.0, *(float(block[:, column].mean().round(4)) for block in blocks)) for column in (0, 1))
    return Calibration(x, y, len(pairs))
