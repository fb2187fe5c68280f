"""Where tensors live."""

import torch


def resolve_device(device: str | None) -> str:
    """The device asked for; with None a GPU if there is one, else the CPU."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")
