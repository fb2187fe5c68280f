"""How a model is computed: on which device, in which precision, with how many threads, and with or without torch's
compiler (`Compute`)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torchvision.models.detection import FasterRCNN

from data_prep.storage.errors import ConfigError
from maskx_model.config import Compute


def resolve_device(device: str | None) -> str:
    """Returns the requested device; for None a GPU if there is one, else the CPU.

    Raises ConfigError for one that torch does not know or this machine does not have.
    """
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    gpus = torch.cuda.device_count()
    known = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{number}" for number in range(gpus))]
    if device not in known:
        raise ConfigError(f"device {device!r}: this machine has {', '.join(known)}")
    return device


def in_precision_of(compute: Compute, device: str | torch.device) -> AbstractContextManager[None]:
    """Returns a context in which `device` computes matrix products and convolutions in the precision of `compute`."""
    kind = torch.device(device).type
    has_bf16 = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = compute.precision == "bf16" or (compute.precision == "auto" and has_bf16)
    return torch.autocast(kind, torch.bfloat16, enabled=wanted)


@contextmanager
def threads_of(compute: Compute) -> Iterator[None]:
    """Until the block ends, a CPU computes with as many threads as `compute` asks for."""
    before = torch.get_num_threads()
    if compute.threads is not None:
        torch.set_num_threads(compute.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def repeatable(device: str | torch.device) -> Iterator[None]:
    """Until the block ends, a CPU computes the same bits each time, with any fixed number of threads.

    By default several threads add up a gradient in the order in which they come. GPUs stay as they are: some of their
    operations have no such form.
    """
    if torch.device(device).type != "cpu":
        yield
        return
    settings: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    settings.fill_uninitialized_memory = False  # it costs time, and no value of it is read
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        settings.fill_uninitialized_memory = before[1]


def compile_backbone(detector: FasterRCNN, compute: Compute) -> None:
    """Lets torch compile the backbone at its first use, for images of all sizes, if `compute` asks for it. The names
    and values of its weights stay."""
    if compute.compile_backbone:
        detector.backbone.compile(dynamic=True)
