"""The class-agnostic MLP beside the FCN (§3.4): its sizes, and how it starts."""

import pytest
import torch
from torch import nn

from maskx_model.config import MlpBranch
from maskx_model.model.mask_branch import build_mlp


def mlp_of(kind: MlpBranch, channels: int) -> nn.Module:
    torch.manual_seed(0)
    mlp = build_mlp(kind, channels, size=28)
    assert mlp is not None
    return mlp


@pytest.mark.parametrize(("kind", "parameters"), [("paper", 157_352_720), ("light", 1_809_432)])
def test_the_light_branch_has_a_hundredth_of_the_papers_parameters(kind: MlpBranch, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in mlp_of(kind, 256).parameters()) == parameters


def test_no_branch_is_no_module() -> None:
    assert build_mlp("none", 256, size=28) is None


@pytest.mark.parametrize("kind", ["paper", "light"])
def test_its_last_layer_starts_as_gaussian_of_a_thousandth(kind: MlpBranch) -> None:
    last = [module for module in mlp_of(kind, 4).modules() if isinstance(module, nn.Linear)][-1]
    assert last.weight.std().item() == pytest.approx(0.001, rel=0.01)
    assert last.weight.mean().abs() < 1e-5 and not last.bias.any()


def test_the_light_branchs_other_layers_start_as_hes() -> None:
    squeeze, hidden = (m for m in list(mlp_of("light", 256).modules())[:-2] if isinstance(m, nn.Conv2d | nn.Linear))
    assert squeeze.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)
    assert hidden.weight.std().item() == pytest.approx((2 / 6272) ** 0.5, rel=0.05)
    assert not any(bias.any() for bias in (squeeze.bias, hidden.bias) if bias is not None)


@pytest.mark.parametrize("kind", ["paper", "light"])
def test_every_logit_sees_the_whole_object(kind: MlpBranch) -> None:
    features = torch.zeros(1, 4, 28, 28, requires_grad=True)
    mlp_of(kind, 4)(features + 1)[0, 0, 0].backward()
    assert features.grad is not None
    assert bool((features.grad.abs().sum(1) > 0).all())
