"""A trained model ready for images, which `maskx predict` and the registered model share: so they agree."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_prep.format.records import Rle
from data_prep.format.vocabulary import Vocabulary
from data_prep.storage.errors import CheckpointError
from maskx_model.artifacts.model_folder import read_model_config
from maskx_model.config import PLAIN, Compute

if TYPE_CHECKING:
    from torch import Tensor

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

        require_masks(uri)
        loaded = load_model(uri)
        assert isinstance(loaded.model, MaskXRCNN)
        compile_backbone(loaded.model.detector, compute)
        return cls(loaded.model, loaded.vocabulary, frozenset(loaded.mask_classes), compute)

    def segment(self, image: npt.NDArray[np.uint8]) -> "Instances":
        """Detects and segments all objects of one image, uint8 RGB [H, W, 3]."""
        from maskx_model.model.compute import in_precision_of
        from maskx_model.results.predict import predict

        with in_precision_of(self.compute, next(self.model.parameters()).device):
            return predict(self.model, image)

    def segment_batch(self, images: Sequence[npt.NDArray[np.uint8]]) -> "list[Instances]":
        """The same for several images of one size at a time: equal to one at a time but for rounding."""
        from maskx_model.model.compute import in_precision_of
        from maskx_model.results.predict import predict_batch

        with in_precision_of(self.compute, next(self.model.parameters()).device):
            return predict_batch(self.model, images)

    def segment_given(
        self, image: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
    ) -> "tuple[list[Rle], Tensor]":
        """Segments given boxes, xyxy [N, 4] in pixels, of one image, uint8 RGB [H, W, 3], as objects of the classes at
        the positions `labels` [N]: masks over the image, and their probabilities, float32 [N, 28, 28]."""
        import torch

        from maskx_model.data.samples import to_tensor
        from maskx_model.model.compute import in_precision_of
        from maskx_model.results.predict import masks_in_boxes

        device = next(self.model.parameters()).device
        with in_precision_of(self.compute, device):
            encoded = self.model.encode([to_tensor(image, device)])
            given = torch.from_numpy(boxes).to(device), torch.from_numpy(labels).to(device) + 1
            return masks_in_boxes(self.model, encoded, *given)


def require_masks(uri: str) -> None:
    """Raise CheckpointError for a model folder that is missing or holds a detector alone. Needs no torch."""
    if read_model_config(uri).mask is None:
        raise CheckpointError(f"{uri}: a detector without masks; run `maskx train masks` on it first")


@contextmanager
def model_folder(model: str, tracking_uri: str | None = None) -> Iterator[str]:
    """The folder of a model that a command names, until the block ends: a folder itself, or that of a registered model
    (`models:/maskx@champion`), from the MLflow store `tracking_uri`. Raises ConfigError if there is no such version."""
    if not model.startswith("models:/"):
        yield model
        return
    from maskx_model.registry.registry import fetched_model

    with fetched_model(model, tracking_uri) as folder:
        yield folder
