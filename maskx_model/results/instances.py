"""What a model detects in one image."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_prep.format.records import Rle


@dataclass(frozen=True)
class Instances:
    """The detections in one image, by falling score: boxes xyxy float32 [N, 4] in pixels, labels int64 [N] (0-based
    positions in the vocabulary), scores float32 [N] in 0..1, masks over the whole image (an empty list for
    a model without masks)."""

    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    masks: list[Rle]
