"""A module and its optimizer as a checkpoint's tensors, and back."""

import torch
from torch import Tensor, nn

from maskx_model.training.checkpoint import TrainingState


def capture(step: int, module: nn.Module, optimizer: torch.optim.Optimizer, metrics: bytes) -> TrainingState:
    """The training after `step` steps: weights as `model/NAME`, the optimizer's tensors as `optimizer/INDEX/SLOT`."""
    tensors = {f"model/{name}": value for name, value in module.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": value for slot, value in slots.items() if isinstance(value, Tensor)}
    return TrainingState(step, tensors, metrics)


def restore(state: TrainingState, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load what `capture` took from an equal module and optimizer."""
    module.load_state_dict(
        {name.removeprefix("model/"): t for name, t in state.tensors.items() if name.startswith("model/")}
    )
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
