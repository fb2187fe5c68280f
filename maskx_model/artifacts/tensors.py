"""Tensors by name from a safetensors file."""

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
