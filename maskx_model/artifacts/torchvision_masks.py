"""The mask branch of torchvision's `maskrcnn_resnet50_fpn`, trained on the masks of COCO's classes, as one of ours."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN_ResNet50_FPN_Weights

from data_prep.storage.errors import CheckpointError, ConfigError
from maskx_model.artifacts.torchvision_detector import check_finite, rows_by_class, weights_file
from maskx_model.config import MaskConfig
from maskx_model.model.backbones import load_pth
from maskx_model.model.mask_branch import MaskBranch

SHAPE = {"head": "fcn4", "convolutions": 4, "channels": 256}
"""What its mask features are, in the words of our configuration."""
WHOLE = {"mlp": "none", "class_bias": True, "shared_bias": False}
"""What else its mask branch is, as far as the class-specific kind can differ."""
LAST = "roi_heads.mask_predictor.mask_fcn_logits"
OF_THE_DETECTOR = "roi_heads.box_head.fc6.weight"
"""A tensor by which a detector taken from the same file is known."""


def check_mask_shape(config: MaskConfig) -> None:
    """Raises ConfigError if the weights do not fit the mask branch: its features, and for the class-specific kind all
    of it."""
    expected = SHAPE | (WHOLE if config.kind == "class_specific" else {})
    different = [
        f"{name} {getattr(config, name)!r} instead of {value!r}"
        for name, value in expected.items()
        if getattr(config, name) != value
    ]
    if different:
        raise ConfigError(f"torchvision's mask branch does not fit: {', '.join(different)}")


def masks_file(weights: str) -> Path:
    """The file behind `--pretrained`, as `weights_file`, of torchvision's Mask R-CNN."""
    return weights_file(weights, MaskRCNN_ResNet50_FPN_Weights)


def load_coco_features(file: Path, branch: MaskBranch) -> None:
    """Fill the convolutions before the class weights; raises CheckpointError for another model's file."""
    _fill(branch.features, file, _features(_mask_state(file), len(branch.features)))


def load_coco_masks(file: Path, branch: MaskBranch, detector: FasterRCNN, categories: Sequence[int | None]) -> None:
    """Fill a class-specific branch for classes with these COCO categories; a class of none keeps its initial weights.

    Raises CheckpointError for another model's file, or if the detector's weights are not those of the file: a mask
    branch understands no other detector's features.
    """
    state = _mask_state(file)
    theirs = state.get(OF_THE_DETECTOR)
    if theirs is None or not torch.equal(theirs, detector.roi_heads.box_head.fc6.weight.detach().cpu()):
        raise CheckpointError(
            f"{file}: its mask branch belongs to another detector than the one given; make that from the same "
            "file, with `maskx train detector --pretrained`"
        )
    own = branch.state_dict()
    try:
        rows = {
            "weights": rows_by_class(state[f"{LAST}.weight"].flatten(1), own["weights"], categories),
            "class_bias": rows_by_class(state[f"{LAST}.bias"], own["class_bias"], categories),
        }
    except (LookupError, RuntimeError) as error:
        raise _another_models(file, error) from None
    features = {f"features.{name}": value for name, value in _features(state, len(branch.features)).items()}
    _fill(branch, file, {**features, **rows})


def _mask_state(file: Path) -> dict[str, Tensor]:
    state = load_pth(str(file))
    if f"{LAST}.weight" not in state:
        raise CheckpointError(f"{file}: has no mask branch; take the weights of torchvision's maskrcnn_resnet50_fpn")
    return state


def _features(state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """The features' tensors by our names; torchvision before 0.13 numbered the convolutions from 1."""
    convolutions = layers // 2 - 1  # each has an activation behind it, and so has the deconvolution
    old = "roi_heads.mask_head.mask_fcn1.weight" in state
    names = [f"mask_head.mask_fcn{i + 1}" if old else f"mask_head.{i}.0" for i in range(convolutions)]
    names.append("mask_predictor.conv5_mask")
    found = {
        f"{2 * i}.{part}": state.get(f"roi_heads.{name}.{part}")
        for i, name in enumerate(names)
        for part in ("weight", "bias")
    }
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _fill(module: nn.Module, file: Path, state: dict[str, Tensor]) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise _another_models(file, error) from None
    check_finite(file, module)


def _another_models(file: Path, error: Exception) -> CheckpointError:
    problem = " ".join(str(error).split())[:200]
    return CheckpointError(
        f"{file}: not the weights of torchvision's maskrcnn_resnet50_fpn with COCO's 91 outputs ({problem} …)"
    )
