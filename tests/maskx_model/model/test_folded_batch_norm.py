"""Frozen batch norm inside the convolution: torchvision's maps, gradients and names."""

import copy

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.ops import FrozenBatchNorm2d

from maskx_model.model.folded_batch_norm import AppliedBatchNorm2d, NormedConv2d, fold_batch_norms


def networks() -> tuple[nn.Module, nn.Module]:
    """torchvision's ResNet-50 whose normalizations do something, and ours of the same weights."""
    torch.manual_seed(0)
    theirs = resnet50(norm_layer=FrozenBatchNorm2d).double()
    for layer in theirs.modules():
        if isinstance(layer, FrozenBatchNorm2d):
            for name, buffer in layer.named_buffers():
                torch.nn.init.uniform_(buffer, *((0.5, 1.5) if name in ("weight", "running_var") else (-0.2, 0.2)))
    ours = resnet50(norm_layer=AppliedBatchNorm2d).double()
    fold_batch_norms(ours)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def gradients(network: nn.Module, image: Tensor) -> list[Tensor | None]:
    network(image).square().mean().backward()
    return [parameter.grad for parameter in network.parameters()]


def test_maps_gradients_and_names_are_torchvisions() -> None:
    theirs, ours = networks()
    assert sum(isinstance(layer, NormedConv2d) for layer in ours.modules()) == 53
    assert not any(isinstance(layer, nn.Conv2d) for layer in ours.modules())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(ours(image), theirs(image))
    for one, other in zip(gradients(ours, image), gradients(theirs, image), strict=True):
        torch.testing.assert_close(one, other)


def test_a_copy_has_its_own_normalization() -> None:
    _, ours = networks()
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    before = ours(image)
    other = copy.deepcopy(ours)
    nn.init.ones_(other.get_submodule("bn1").get_buffer("bias"))
    torch.testing.assert_close(ours(image), before)
    assert not torch.allclose(other(image), before)
