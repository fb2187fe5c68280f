"""Where a layer may take a way of its own on CPUs: at inference, in float32."""

import torch
from torch import Tensor, nn


def inference_on_processor(layer: nn.Linear | nn.Conv2d, features: Tensor) -> bool:
    """Whether features and weights are float32 in main memory, some of them are there, and no gradient is wanted."""
    return (
        features.device.type == "cpu"
        and features.dtype == layer.weight.dtype == torch.float32
        and features.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not (torch.is_grad_enabled() and (features.requires_grad or layer.weight.requires_grad))
    )
