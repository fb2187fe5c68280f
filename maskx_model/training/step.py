"""One step of a training: made whole, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Losses = dict[str, Tensor]


def make_step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Losses],
    learning_rate: float,
    clip_norm: float | None,
) -> Losses:
    """Move the weights once against the gradient of the losses' sum, its norm over all parameters clipped; returns the
    losses and their sum, `loss`.

    Raises FloatingPointError for a loss or a gradient that is not finite. Whatever is raised, here or in `loss`, the
    module's weights and its batch norm's running statistics are as before.
    """
    with _undone_on_error(_running_statistics(module)):
        losses = loss()
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        # Not before: a GPU would have nothing to do while the CPU waits for the loss.
        if not torch.isfinite(total):
            parts = ", ".join(f"{name} {value.item():.3g}" for name, value in losses.items())
            raise FloatingPointError(f"the loss is not finite ({parts})")
        _clip(module, clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    return {"loss": total, **losses}


def check_weights(module: nn.Module) -> None:
    """Raises FloatingPointError if a weight or a running statistic is not finite."""
    for name, value in module.state_dict().items():
        if not torch.isfinite(value).all():
            raise FloatingPointError(f"{name} is not finite")


def _clip(module: nn.Module, clip_norm: float | None) -> None:
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    norm = nn.utils.get_total_norm(gradients.values())
    if not torch.isfinite(norm):
        bad = [name for name, gradient in gradients.items() if not torch.isfinite(gradient).all()]
        raise FloatingPointError(f"the gradient is not finite ({bad[0] if bad else 'its norm'})")
    if clip_norm is not None:
        nn.utils.clip_grads_with_norm_(module.parameters(), clip_norm, norm)


def _running_statistics(module: nn.Module) -> list[Tensor]:
    layers = (each for each in module.modules() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d))
    return [buffer for each in layers for buffer in each.buffers()]


@contextmanager
def _undone_on_error(statistics: list[Tensor]) -> Iterator[None]:
    """A forward moves the running statistics before anything can be checked: if the block raises, they move back."""
    before = [each.clone() for each in statistics]
    try:
        yield
    except BaseException:
        for each, value in zip(statistics, before, strict=True):
            each.copy_(value)
        raise
