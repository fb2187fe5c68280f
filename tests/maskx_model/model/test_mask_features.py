"""Mask heads: the paper's convolutions and the hourglass, from the RoI feature to the mask feature."""

from typing import Any

import pytest
import torch
from torch import nn

from maskx_model.config import MaskConfig, MaskHead
from maskx_model.model.mask_features import HOURGLASS_BLOCKS, Hourglass, build_features
from tests.maskx_model.samples import noise

HEADS: tuple[MaskHead, ...] = ("fcn4", "hourglass")


def features_of(head: MaskHead = "hourglass", channels: int = 8, in_channels: int = 6, **options: Any) -> nn.Sequential:
    torch.manual_seed(0)
    return build_features(MaskConfig(head=head, channels=channels, **options), in_channels)


@pytest.mark.parametrize("channels", [4, 6, 8])
@pytest.mark.parametrize("head", HEADS)
def test_a_head_doubles_the_map_and_is_not_negative(head: MaskHead, channels: int) -> None:
    mask_features = features_of(head, channels)(noise(3, 6, 14, 14))
    assert mask_features.shape == (3, channels, 28, 28)
    assert mask_features.min() == 0 and mask_features.std() > 0.05


@pytest.mark.parametrize("head", HEADS)
def test_a_rois_features_do_not_depend_on_the_other_rois(head: MaskHead) -> None:
    head_of_all, rois = features_of(head), noise(5, 6, 14, 14)
    torch.testing.assert_close(head_of_all(rois)[2:3], head_of_all(rois[2:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layers", "coarsest"), [(10, 14), (20, 7), (32, 4), (52, 1)])
def test_deeper_hourglasses_reach_coarser_maps(layers: int, coarsest: int) -> None:
    sizes: list[int] = []
    features = features_of(hourglass_layers=layers)
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _args, result: sizes.append(result.shape[-1]))
    features(noise(1, 6, 14, 14))
    assert min(sizes) == coarsest and sizes[-1] == 28
    convolutions = [n for n, m in features.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert sum("shortcut" not in name for name in convolutions) == layers  # on the longest way


def test_the_coarsest_maps_tell_every_place_about_every_other() -> None:
    rois = torch.zeros(1, 6, 14, 14, requires_grad=True)
    features_of(hourglass_layers=52)(rois + noise(1, 6, 14, 14))[0, :, 0, 0].sum().backward()
    assert rois.grad is not None
    assert bool((rois.grad.abs().sum(1) > 0).all())


@pytest.mark.parametrize("head", HEADS)
def test_convolutions_start_as_hes_by_their_outputs(head: MaskHead) -> None:
    features = features_of(head, channels=64, in_channels=64)
    for layer in features.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            fan_out = layer.weight[:, 0].numel() if isinstance(layer, nn.Conv2d) else 64 * 2 * 2
            assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
            assert layer.bias is None or not layer.bias.any()


def test_the_papers_head_has_mask_r_cnns_layers() -> None:
    with torch.device("meta"):
        shapes = [tuple(p.shape) for p in build_features(MaskConfig(), 256).parameters()]
    assert shapes == [(256, 256, 3, 3), (256,)] * 4 + [(256, 256, 2, 2), (256,)]


def test_an_hourglass_of_64_channels_has_hardly_more_weights_than_the_papers_head() -> None:
    with torch.device("meta"):
        deep = build_features(MaskConfig(head="hourglass", channels=64), 256)
        paper = build_features(MaskConfig(), 256)
    assert sum(p.numel() for p in deep.parameters()) < 1.05 * sum(p.numel() for p in paper.parameters())


def test_maps_of_odd_sizes_find_back() -> None:
    torch.manual_seed(0)
    assert Hourglass(4, HOURGLASS_BLOCKS[32])(noise(2, 4, 7, 9)).shape == (2, 4, 7, 9)
