"""What a model is evaluated on, and how."""

from dataclasses import dataclass
from typing import Literal

from maskx_model.config import PLAIN, Compute, ProtocolName

MasksFrom = Literal["model", "grabcut"]
"""Where the masks come from: the model's mask branch, or GrabCut of its boxes (Table 2's baseline)."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What to evaluate on, and how. `split` and `source` of the dataset; `max_images`: only the first images of the
    split; `protocol`: COCO's or LVIS's; `compute`: precision and compilation."""

    split: str = "val"
    source: str = "coco"
    max_images: int | None = None
    protocol: ProtocolName = "coco"
    masks: MasksFrom = "model"
    compute: Compute = PLAIN
