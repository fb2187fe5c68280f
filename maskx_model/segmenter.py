"""A trained model ready for photographs: what `maskx predict` and the registered model share, so that they agree."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_prep.format.errors import CheckpointError
from data_prep.format.vocabulary import Vocabulary

if TYPE_CHECKING:
    from maskx_model.inference import Instances
    from maskx_model.maskx_rcnn import MaskXRCNN


@dataclass(frozen=True)
class Segmenter:
    """A model in eval mode, the classes it knows, and A: the positions of those whose masks were seen in training."""

    model: "MaskXRCNN"
    vocabulary: Vocabulary
    mask_classes: frozenset[int]

    @classmethod
    def load(cls, uri: str) -> "Segmenter":
        """Load a model folder, onto the GPU where there is one; raises CheckpointError for one that is missing,
        damaged, or a detector alone."""
        import torch

        from maskx_model.checkpoint import load_model
        from maskx_model.maskx_rcnn import MaskXRCNN

        loaded = load_model(uri, "cuda" if torch.cuda.is_available() else "cpu")
        if not isinstance(loaded.model, MaskXRCNN):
            raise CheckpointError(f"{uri}: a detector without masks; run `maskx train masks` on it first")
        return cls(loaded.model, loaded.vocabulary, frozenset(loaded.mask_classes))

    def segment(self, image: npt.NDArray[np.uint8]) -> "Instances":
        """All objects of one photograph, uint8 RGB [H, W, 3].

        One at a time: padded to a common size, a photograph's result would depend on its neighbours in the batch.
        """
        from maskx_model.inference import predict

        return predict(self.model, [image])[0]
