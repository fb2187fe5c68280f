"""The processes of a training (ranks), one for each GPU: the only module that calls torch.distributed.

`torchrun` starts the ranks and tells each its number; without it there is one. Ranks share each batch: the order of the
images is the same for any number of ranks, and so are losses and gradients but for rounding.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import torch
from torch import Tensor, distributed, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel

from data_prep.storage.errors import CheckpointError, ConfigError
from maskx_model.model.compute import resolve_device
from maskx_model.model.synced_batch_norm import synchronize_batch_norms

logger = logging.getLogger(__name__)

TIMEOUT = timedelta(minutes=10)
"""How long a rank waits for the others before it gives up."""


@dataclass(frozen=True)
class World:
    """This rank's number, from 0, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this rank writes what is written once: checkpoints, metrics, the model."""
        return self.rank == 0

    def part(self, count: int, option: str) -> slice:
        """This rank's items of `count` that the ranks share evenly, as neighbors. Raises ConfigError, which names the
        option that sets `count`, if they cannot."""
        if count % self.size:
            raise ConfigError(
                f"{count} in a batch cannot be shared evenly by {self.size} ranks; choose a multiple of {self.size} "
                f"({option})"
            )
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks, without a gradient. All ranks must call it."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def greatest(self, values: Tensor) -> Tensor:
        """Each value's greatest over all ranks. All ranks must call it."""
        if self.size > 1:
            distributed.all_reduce(values, op=distributed.ReduceOp.MAX)
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any rank says so. All ranks must call it."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(float(flag), device=device)))

    def exchange(self, text: str) -> list[str]:
        """What each rank says, by rank. All ranks must call it."""
        if self.size == 1:
            return [text]
        own = torch.tensor(list(text.encode()), dtype=torch.uint8)
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        lengths = self.sum(
            torch.zeros(self.size, dtype=torch.int64, device=device).index_fill_(
                0, torch.tensor([self.rank], device=device), len(own)
            )
        )
        said = torch.zeros(self.size, int(lengths.max()), dtype=torch.uint8, device=device)
        said[self.rank, : len(own)] = own.to(device)
        rows = self.sum(said).cpu()
        return [bytes(row[:length].tolist()).decode() for row, length in zip(rows, lengths.tolist(), strict=True)]

    def wait_for_all(self) -> None:
        """Returns when all ranks have come here."""
        self.exchange("here")


ALONE = World()


def current_world() -> World:
    """The ranks that `joined_world` has joined; one where it has not."""
    if distributed.is_available() and distributed.is_initialized():
        return World(distributed.get_rank(), distributed.get_world_size())
    return ALONE


@contextmanager
def joined_world(device: str | None) -> Iterator[str]:
    """Join the ranks that torchrun started, until the block ends; yields this rank's device: its own GPU with NCCL, or
    the CPU with gloo. Without torchrun, or within such a block, the device alone.

    Raises ConfigError for a device that this machine does not have.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield resolve_device(device)
        return
    own = resolve_device(device)
    if own == "cuda":
        own = resolve_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if own.startswith("cuda") else "gloo", timeout=TIMEOUT)
    try:
        yield own
    finally:
        distributed.destroy_process_group()


def check_agreement(what: str, values: Mapping[str, object]) -> None:
    """Raises ConfigError if the ranks differ in these values, naming the ranks and what differs. All must call it."""
    said = [msgspec.json.decode(each) for each in current_world().exchange(msgspec.json.encode(values).decode())]
    for rank, other in enumerate(said):
        names = sorted(name for name in {*said[0], *other} if said[0].get(name) != other.get(name))
        if names:
            differing = "; ".join(f"{name}: {said[0].get(name)} and {other.get(name)}" for name in names)
            raise ConfigError(
                f"{what}: ranks 0 and {rank} differ in {differing}; start all ranks with the same command, "
                "code and data"
            )


def check_same_step(folder: str, step: int) -> None:
    """Raises CheckpointError if the ranks would resume from different steps. All must call it."""
    steps = current_world().exchange(str(step))
    if len(set(steps)) > 1:
        raise CheckpointError(
            f"{folder}: the ranks find checkpoints of different steps ({', '.join(steps)} by rank); write to a "
            "folder or bucket that all of them see"
        )


def common_store(world: World) -> TCPStore:
    """A store of short texts that all ranks see, kept by the first. All must call it."""
    host = os.environ["MASTER_ADDR"]
    own = TCPStore(host, 0, is_master=True, wait_for_workers=False) if world.is_first else None
    port = int(world.exchange(str(own.port) if own else "")[0])
    return own or TCPStore(host, port, is_master=False)


def shared(module: nn.Module) -> nn.Module:
    """The module in torch's DistributedDataParallel: after each backward all ranks have the mean of their gradients.

    Its batch norms become those of the whole batch, until `restore_batch_norms`.
    """
    group = distributed.new_group()  # apart from the gradients', whose sums come in another order
    synchronize_batch_norms(module, partial(_SumOverRanks.apply, group))
    return DistributedDataParallel(module, forward_sync_buffers=False)


class _SumOverRanks(torch.autograd.Function):
    """The sum over all ranks; the gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, group: Any, values: Tensor) -> Tensor:
        ctx.group = group
        total = values.clone()
        distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (total,) = gradients
        total = total.clone()
        distributed.all_reduce(total, group=ctx.group)
        return None, total
