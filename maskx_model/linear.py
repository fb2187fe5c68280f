"""Fully connected layers on processors by oneDNN, as torch does convolutions: on some processors twice as fast as the
library that torch uses for matrix products, and nowhere slower."""

import torch
from torch import Tensor, nn


class OneDnnLinear(nn.Linear):
    """A fully connected layer, by oneDNN where it applies: a float32 batch in main memory, no gradient wanted."""

    def forward(self, features: Tensor) -> Tensor:
        """[R, in_features] → [R, out_features]."""
        if not self._applies(features):
            result: Tensor = super().forward(features)
            return result
        # The operator that torch's compiler emits for a linear layer.
        by_onednn: Tensor = torch.ops.mkldnn._linear_pointwise(features, self.weight, self.bias, "none", [], "")
        return by_onednn

    def _applies(self, features: Tensor) -> bool:
        return (
            features.device.type == "cpu"
            and features.dtype == self.weight.dtype == torch.float32
            and features.numel() > 0
            and torch.backends.mkldnn.is_available()
            and not torch.is_autocast_enabled("cpu")
            and not (torch.is_grad_enabled() and (features.requires_grad or self.weight.requires_grad))
        )


def use_onednn(module: nn.Module) -> None:
    """Let all fully connected layers in `module` be `OneDnnLinear`; their parameters stay."""
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = OneDnnLinear
