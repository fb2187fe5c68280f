"""Fully connected layers by oneDNN: torch's numbers, and torch's own path where gradients are wanted."""

import torch
from torch import nn

from maskx_model.model.cpu.onednn_linear import OneDnnLinear, use_onednn


def test_a_layer_gives_torchs_numbers_and_keeps_its_parameters() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(300, 70), nn.ReLU(), nn.Linear(70, 5, bias=False))
    features, names = torch.randn(40, 300), list(module.state_dict())
    with torch.no_grad():
        expected = module(features)
        use_onednn(module)
        torch.testing.assert_close(module(features), expected, rtol=1e-5, atol=1e-5)
        assert module(features[:0]).shape == (0, 5)
        double = module.double()(features.double())
    torch.testing.assert_close(double.float(), expected, rtol=1e-5, atol=1e-5)
    assert list(module.state_dict()) == names
    assert [type(layer) for layer in module] == [OneDnnLinear, nn.ReLU, OneDnnLinear]


def test_gradients_flow() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Sequential(nn.Linear(30, 7)), nn.Linear(30, 7)
    theirs.load_state_dict(ours[0].state_dict())
    use_onednn(ours)
    features = torch.randn(9, 30)
    found = torch.autograd.grad(ours(features).square().sum(), list(ours.parameters()))
    expected = torch.autograd.grad(theirs(features).square().sum(), list(theirs.parameters()))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
