"""A mask branch in training as a whole model: the branch on the frozen detector that it is trained for."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN

from maskx_model.artifacts.model_folder import load_model
from maskx_model.config import MaskConfig, ModelConfig
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.maskx_rcnn import MaskXRCNN


class BranchOnDetector:
    """Makes whole models of a mask branch. The detector is read at the first use, onto the branch's device: a second
    copy beside the one that is trained on."""

    def __init__(self, detector: str, mask: MaskConfig, word_vectors: npt.NDArray[np.float32] | None = None) -> None:
        """`detector`: the folder of stage 1. `word_vectors`, [K + 1, E]: for T's input `embedding`."""
        self._uri, self._mask, self._word_vectors = detector, mask, word_vectors
        self._model: MaskXRCNN | None = None

    def __call__(self, branch: nn.Module) -> MaskXRCNN:
        """The model with this branch, not a copy of it. Raises CheckpointError for a damaged detector."""
        assert isinstance(branch, MaskBranch)
        if self._model is None:
            self._model = self._read(next(branch.parameters()).device)
        self._model.mask_branch = branch
        return self._model

    def _read(self, device: torch.device) -> MaskXRCNN:
        loaded = load_model(self._uri, str(device))
        assert isinstance(loaded.model, FasterRCNN)
        config = ModelConfig(loaded.config.detector, self._mask)
        model = MaskXRCNN(config, len(loaded.vocabulary), loaded.model)
        if self._word_vectors is not None:
            model.word_vectors = torch.from_numpy(self._word_vectors).to(device)
        return model
