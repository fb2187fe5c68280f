"""One step of a training: made whole on all ranks, or not at all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from maskx_model.model.synced_batch_norm import SyncedBatchNorm
from maskx_model.training.distributed import World
from maskx_model.training.task import Losses, Measured

Forward = Callable[[], Measured]


class NotFiniteError(FloatingPointError):
    """A loss or a gradient is infinite or NaN: on all ranks at once. `here`: whether this rank's images made it so."""

    def __init__(self, message: str, here: bool) -> None:
        super().__init__(message)
        self.here = here


def make_step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Forward],
    learning_rate: float,
    clip_norm: float | None,
    world: World,
    without_sum: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Losses:
    """Move the weights once against the gradient of the losses' sum, its norm over all parameters clipped; returns the
    losses of the whole batch and their sum, `loss`, as each rank knows them.

    `parts`: the forwards of the parts of this rank's batch, one after the other; each weighs the same. `without_sum`:
    the context in which the gradients of all parts but the last wait to be summed over the ranks.

    Raises NotFiniteError, on every rank, for a loss or a gradient that is not finite. Whatever is raised, here or in a
    forward, the module's weights and its batch norm's running statistics are as before.
    """
    with _undone_on_error(_running_statistics(module)):
        optimizer.zero_grad()
        sums: Losses = {}
        own = []
        for number, forward in enumerate(parts):
            with without_sum() if number < len(parts) - 1 else nullcontext():
                total, losses = _over_all_ranks(forward(), module, world)
                (total / len(parts)).backward()
            own.append(total.detach())
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value / len(parts)
        # Not before: a GPU would have nothing to do while the CPU waits for the loss.
        loss = torch.stack(list(sums.values())).sum()
        if not torch.isfinite(loss):
            found = ", ".join(f"{name} {value.item():.3g}" for name, value in sums.items())
            raise NotFiniteError(f"the loss is not finite ({found})", here=not bool(torch.stack(own).isfinite().all()))
        _clip(module, clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.step()
    return {"loss": loss, **sums}


def check_weights(module: nn.Module) -> None:
    """Raises FloatingPointError if a weight or a running statistic is not finite."""
    for name, value in module.state_dict().items():
        if not torch.isfinite(value).all():
            raise FloatingPointError(f"{name} is not finite")


def _over_all_ranks(measured: Measured, module: nn.Module, world: World) -> tuple[Tensor, Losses]:
    """What this rank has to minimize, so that the mean of all ranks' gradients is that of the losses over the whole
    batch; and these losses, detached."""
    losses = measured.losses
    if world.size == 1:
        return torch.stack(list(losses.values())).sum(), {name: value.detach() for name, value in losses.items()}
    values = torch.stack(list(losses.values()))
    counts = values.new_tensor([measured.counts.get(name, 1) for name in losses], dtype=torch.float64)
    sums = world.sum(torch.stack([values.detach().double() * counts, counts]))
    overall = sums[1].clamp(min=1)
    # Each parameter has a part in the graph: a rank without a positive would let the others wait for its gradients.
    everything = torch.stack([each.sum() for each in module.parameters() if each.requires_grad]).sum() * 0
    own = (values * (counts * world.size / overall).to(values.dtype)).sum() + everything
    return own, dict(zip(losses, (sums[0] / overall).to(values.dtype).unbind(), strict=True))


def _clip(module: nn.Module, clip_norm: float | None) -> None:
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    norm = nn.utils.get_total_norm(gradients.values())
    if not torch.isfinite(norm):
        bad = [name for name, gradient in gradients.items() if not torch.isfinite(gradient).all()]
        raise NotFiniteError(f"the gradient is not finite ({bad[0] if bad else 'its norm'})", here=True)
    if clip_norm is not None:
        nn.utils.clip_grads_with_norm_(module.parameters(), clip_norm, norm)


def _running_statistics(module: nn.Module) -> list[Tensor]:
    kinds = nn.BatchNorm1d | nn.BatchNorm2d | SyncedBatchNorm
    layers = (each for each in module.modules() if isinstance(each, kinds))
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
