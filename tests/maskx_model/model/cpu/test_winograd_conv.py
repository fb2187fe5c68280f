"""Winograd's convolutions: torch's numbers at its precision, and torch's own path where they do not pay or apply."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from maskx_model.model.cpu.winograd_conv import (
    FEWEST_CHANNELS,
    TILES_AT_ONCE,
    WinogradConv2d,
    use_winograd,
    winograd_convolution,
)


@pytest.mark.parametrize(
    ("images", "height", "width"),
    [(1, 4, 4), (2, 14, 14), (TILES_AT_ONCE // 16 + 1, 14, 14), (1, 25, 34), (2, 61, 4 * TILES_AT_ONCE - 7), (3, 1, 2)],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_torchs_numbers(images: int, height: int, width: int, memory_format: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(images, 5, height, width, generator=generator).contiguous(memory_format=memory_format)
    weight, bias = torch.randn(7, 5, 3, 3, generator=generator), torch.randn(7, generator=generator)
    for each in (bias, None):
        found = winograd_convolution(features, weight, each)
        torch.testing.assert_close(found, F.conv2d(features, weight, each, padding=1), rtol=1e-5, atol=2e-5)
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_the_precision_of_the_direct_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4, 256, 14, 14, generator=generator).relu().contiguous(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, generator=generator) / 48
    exact = F.conv2d(features.double(), weight.double(), padding=1)
    error = (winograd_convolution(features, weight, None) - exact).abs().max()
    assert error < 1e-5
    assert error < 4e-6 * exact.abs().max()


def layer_and_features() -> tuple[nn.Conv2d, torch.Tensor]:
    torch.manual_seed(0)
    layer = nn.Conv2d(FEWEST_CHANNELS, FEWEST_CHANNELS, 3, padding=1)
    use_winograd(layer)
    return layer, torch.randn(8, FEWEST_CHANNELS, 14, 14)


def test_at_inference_in_float32_on_enough_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, features = layer_and_features()
    calls: list[int] = []

    def counted(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        calls.append(len(features))
        return winograd_convolution(features, weight, bias)

    monkeypatch.setattr("maskx_model.model.cpu.winograd_conv.winograd_convolution", counted)
    with torch.no_grad():
        layer(features[:7])
        layer(features[:6])  # 96 tiles
        layer(features[:0])
        with torch.autocast("cpu", torch.bfloat16):
            layer(features)
    assert calls == [7]
    layer(features).sum().backward()
    assert layer.weight.grad is not None
    assert calls == [7]
    with torch.no_grad():
        layer.double()(features.double())
    assert calls == [7]


def test_only_plain_convolutions_change_and_keep_their_parameters() -> None:
    module = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(4, 4, 3, padding=1),
    )
    names = list(module.state_dict())
    use_winograd(module)
    assert [type(layer) is WinogradConv2d for layer in module] == [True, True] + [False] * 7
    assert list(module.state_dict()) == names
