"""A module and its optimizer as a checkpoint's tensors, and back."""

import torch
from torch import Tensor, nn

from maskx_model.training.average import MovingAverage
from maskx_model.training.checkpoint import TrainingState


def capture(
    step: int,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    metrics: bytes,
    average: MovingAverage | None = None,
    score: float | None = None,
) -> TrainingState:
    """The training after `step` steps: weights as `model/NAME`, the optimizer's tensors as `optimizer/INDEX/SLOT`, the
    averaged weights as `average/NAME`."""
    tensors = {f"model/{name}": value for name, value in module.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": value for slot, value in slots.items() if isinstance(value, Tensor)}
    if average is not None:
        tensors |= {f"average/{name}": value for name, value in average.state().items()}
    return TrainingState(step, tensors, metrics, score)


def restore(
    state: TrainingState, module: nn.Module, optimizer: torch.optim.Optimizer, average: MovingAverage | None = None
) -> None:
    """Load what `capture` took from an equal module and optimizer.

    A slot gets its parameter's memory format, which a file does not keep: AdamW's fused kernel goes through both as
    they lie in memory.
    """
    module.load_state_dict(_below("model/", state))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below("optimizer/", state).items():
        index, slot = name.split("/")
        parameter = parameters[int(index)]
        alike = tensor.shape == parameter.shape
        slots.setdefault(int(index), {})[slot] = torch.empty_like(parameter).copy_(tensor) if alike else tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    if average is not None:
        average.restore(_below("average/", state))


def _below(prefix: str, state: TrainingState) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.tensors.items() if name.startswith(prefix)}
