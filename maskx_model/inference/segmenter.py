"""A trained model ready for images, which `maskx predict` and the registered model share: so they agree."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import CheckpointError
from maskx_model.config import PLAIN, Compute

if TYPE_CHECKING:
    from maskx_model.model.maskx_rcnn import MaskXRCNN
    from maskx_model.results.instances import Instances


@dataclass(frozen=True)
class Segmenter:
    """A model in eval mode, its classes, A (`mask_classes`: positions of the classes with masks in training), and the
    device settings it is computed with."""

    model: "MaskXRCNN"
    vocabulary: Vocabulary
    mask_classes: frozenset[int]
    compute: Compute = PLAIN

    @classmethod
    def load(cls, uri: str, compute: Compute = PLAIN) -> "Segmenter":
        """Loads a model folder, onto the GPU where there is one. Raises CheckpointError for a folder that is missing,
        damaged, or holds a detector alone."""
        from maskx_model.artifacts.model_folder import load_model
        from maskx_model.model.compute import compile_backbone
        from maskx_model.model.maskx_rcnn import MaskXRCNN

        loaded = load_model(uri)
        if not isinstance(loaded.model, MaskXRCNN):
            raise CheckpointError(f"{uri}: a detector without masks; run `maskx train masks` on it first")
        compile_backbone(loaded.model.detector, compute)
        return cls(loaded.model, loaded.vocabulary, frozenset(loaded.mask_classes), compute)

    def segment(self, image: npt.NDArray[np.uint8]) -> "Instances":
        """Detects and segments all objects of one image, uint8 RGB [H, W, 3]."""
        from maskx_model.model.compute import in_precision_of
        from maskx_model.results.predict import predict

        with in_precision_of(self.compute, next(self.model.parameters()).device):
            return predict(self.model, image)
