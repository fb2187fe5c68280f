"""A schedule's optimizer, and its learning rate at a step."""

import math
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import increment_version

from maskx_model.model.transfer import TransferFunction
from maskx_model.schedules import Schedule


def build_optimizer(module: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """SGD or AdamW on the parameters that require gradients, T's with a weight decay of their own where T has one; the
    learning rate is set at each step."""
    groups = _parameter_groups(module, schedule.weight_decay)
    if schedule.optimizer == "adamw":
        adamw = torch.optim.AdamW(groups, lr=0.0, fused=True)
        adamw.register_step_post_hook(_note_change)
        return adamw
    return torch.optim.SGD(groups, lr=0.0, momentum=schedule.momentum)


def _note_change(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Counts a step as a change of the weights, as every other optimizer does: the fused one leaves `_version`."""
    increment_version([each for group in optimizer.param_groups for each in group["params"]])


def _parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters that require gradients, those with the same weight decay together."""
    decay_of = {each: weight_decay for each in module.parameters() if each.requires_grad}
    for part in module.modules():
        if isinstance(part, TransferFunction) and part.weight_decay is not None:
            decay_of |= {each: part.weight_decay for each in part.parameters() if each in decay_of}
    return [
        {"params": [each for each, own in decay_of.items() if own == decay], "weight_decay": decay}
        for decay in dict.fromkeys(decay_of.values())
    ]


def learning_rate_factor(schedule: Schedule, step: int) -> float:
    """The learning rate at a step (0-based), relative to its peak: linear warm-up from a third, then decay."""
    factor = 1.0
    if schedule.decay == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    else:
        factor = 0.1 ** sum(step >= milestone for milestone in schedule.milestones)
    if step < schedule.warmup_steps:
        factor *= 1 / 3 + 2 / 3 * step / schedule.warmup_steps
    return factor
