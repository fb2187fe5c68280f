"""What a model finds in one image."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_prep.format.records import Rle


@dataclass(frozen=True)
class Instances:
    """What was found in one image, by falling score: boxes xyxy float32 [N, 4] in pixels, labels int64 [N] (0-based
    positions in the vocabulary), scores float32 [N] in 0..1, masks over the whole image (none at all where only boxes
    were looked for)."""

    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    masks: list[Rle]
