"""Tensors by name in a safetensors file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.storage.errors import CheckpointError, DataError
from data_prep.storage.storage import (
    local_copy,
)

if TYPE_CHECKING:
    from torch import Tensor


def load_tensors(uri: str) -> "dict[str, Tensor]":
    """All tensors of a safetensors file; raises CheckpointError if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(local_copy(uri))
    except (SafetensorError, FileNotFoundError, DataError) as error:
        raise CheckpointError(f"{uri}: not a readable safetensors file ({error})") from None
    return tensors


def save_tensors(tensors: "Mapping[str, Tensor]", path: Path) -> None:
    """Write tensors to a safetensors file on disk; raises OSError where the disk refuses, as writing a file does."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        refused = re.search(r"\(os error (\d+)\)", str(error))
        if refused is None:
            raise
        raise OSError(int(refused[1]), os.strerror(int(refused[1])), str(path)) from None
