"""How a model is computed: in which precision, and with or without torch's compiler (`Compute`)."""

from contextlib import AbstractContextManager

import torch
from torchvision.models.detection import FasterRCNN

from maskx_model.config import Compute


def in_precision_of(compute: Compute, device: str | torch.device) -> AbstractContextManager[None]:
    """Within it, matrix products and convolutions on `device` are computed as `compute` says."""
    kind = torch.device(device).type
    has_bf16 = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = compute.precision == "bf16" or (compute.precision == "auto" and has_bf16)
    return torch.autocast(kind, torch.bfloat16, enabled=wanted)


def compile_backbone(detector: FasterRCNN, compute: Compute) -> None:
    """Have the backbone compiled at its first use, for images of all sizes, if `compute` says so. Names and values
    of its weights stay."""
    if compute.compile_backbone:
        detector.backbone.compile(dynamic=True)
