"""A moving average of the weights, which often generalizes better than the weights after the last step."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage:
    """The exponential moving average of a module's weights and buffers over the steps, with torch's `AveragedModel`."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    @property
    def module(self) -> nn.Module:
        """A module of its own with the averaged weights and buffers."""
        return self._averaged.module

    def update(self, module: nn.Module) -> None:
        """Takes in the module's weights as they are now."""
        self._averaged.update_parameters(module)

    def state(self) -> dict[str, Tensor]:
        """The averaged weights by the module's names, and the number of updates."""
        return self._averaged.state_dict()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Loads what `state` returned."""
        self._averaged.load_state_dict(state)

    @torch.no_grad()
    def write_to(self, module: nn.Module) -> None:
        """Gives the module the averaged weights and buffers."""
        module.load_state_dict(self.module.state_dict())
