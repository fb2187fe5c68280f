"""A schedule's optimizer, and its learning rate at a step."""

import math

import torch
from torch import nn

from maskx_model.schedules import Schedule


def build_optimizer(module: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """SGD or AdamW on the parameters that require gradients; the learning rate is set at each step."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=0.0, weight_decay=schedule.weight_decay, fused=True)
    return torch.optim.SGD(parameters, lr=0.0, momentum=schedule.momentum, weight_decay=schedule.weight_decay)


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
