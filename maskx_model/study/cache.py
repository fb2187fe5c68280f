"""Files that are named by the hash of their inputs, so that the next run reuses them."""

from collections.abc import Callable, Mapping

from torch import Tensor

from data_prep.storage.storage import exists, write
from maskx_model.artifacts.tensors import load_tensors
from maskx_model.training.provenance import settings_hash

Tensors = dict[str, Tensor]


def digest(inputs: object) -> str:
    """16 hexadecimal digits of the inputs' SHA-256, as JSON with every field."""
    return settings_hash(inputs)[:16]


def cached_tensors(folder: str, name: str, inputs: Mapping[str, object], compute: Callable[[], Tensors]) -> Tensors:
    """The tensors of `<folder>/<name>-<digest of the inputs>.safetensors`; computed and written if it is not there.

    They are mapped into memory, not read: processes share them.
    """
    uri = f"{folder}/{name}-{digest(inputs)}.safetensors"
    if not exists(uri):
        from safetensors.torch import save

        write(uri, save(compute()))
    return load_tensors(uri)
