"""The class-agnostic MLP beside the FCN: it sees the whole object at once, whatever its class (§3.4, Table 1c)."""

from torch import nn

from maskx_model.config import MlpBranch

LIGHT_CHANNELS = 8
LIGHT_HIDDEN = 256


def build_mlp(kind: MlpBranch, channels: int, size: int) -> nn.Module | None:
    """A module from the mask feature F [R, C, M, M] to logits [R, M, M], to be added to the FCN's; `size` is M.

    `paper`: one fully connected layer (157 M parameters at 256 channels). `light`: ours, a 1×1 convolution to 8
    channels and two layers with 256 between them (1.8 M at 256 channels). The last layer starts as Gaussian 0.001,
    so that training begins with the FCN's logits.
    """
    if kind == "none":
        return None
    flat: list[nn.Module] = [nn.Flatten()] if kind == "paper" else _squeezed(channels, size)
    width = channels * size**2 if kind == "paper" else LIGHT_HIDDEN
    last = nn.Linear(width, size**2)
    nn.init.normal_(last.weight, std=0.001)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*flat, last, nn.Unflatten(1, (size, size)))


def _squeezed(channels: int, size: int) -> list[nn.Module]:
    """F → [R, 256]."""
    squeeze = nn.Conv2d(channels, LIGHT_CHANNELS, 1)
    hidden = nn.Linear(LIGHT_CHANNELS * size**2, LIGHT_HIDDEN)
    for layer in (squeeze, hidden):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return [squeeze, nn.ReLU(inplace=True), nn.Flatten(), hidden, nn.ReLU(inplace=True)]
