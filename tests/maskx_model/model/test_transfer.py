"""T (§3.1): every row of the paper's Tables 1a and 1b is a configuration; how it starts, and what it lets through."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data_prep.storage.errors import ConfigError
from maskx_model.config import Activation, MaskConfig, TransferInput
from maskx_model.model.detector import class_weights
from maskx_model.model.transfer import TransferFunction, class_embeddings, embedding_size, scaled_rows
from tests.maskx_model.samples import new_detector, noise

BOX_DIM = 16  # of the small detector
INPUTS: tuple[TransferInput, ...] = ("cls", "box", "cls+box", "randn", "embedding")
TABLE_1B: tuple[tuple[int, Activation], ...] = (
    (1, "leaky_relu"),
    (2, "relu"),
    (2, "leaky_relu"),
    (3, "relu"),
    (3, "leaky_relu"),
)


def config_of(kind: TransferInput = "cls+box", **options: Any) -> MaskConfig:
    return MaskConfig(
        transfer_input=kind,
        embedding_dim=6 if kind == "embedding" else None,
        **{"transfer_hidden": 7, "channels": 5, **options},
    )


def transfer_of(config: MaskConfig) -> TransferFunction:
    torch.manual_seed(0)
    return TransferFunction(config, BOX_DIM)


def embeddings_of(kind: TransferInput, **options: Any) -> Tensor:
    return class_embeddings(new_detector(num_classes=3), config_of(kind, **options), noise(4, 6))


def test_embeddings_are_the_class_weights() -> None:
    w_cls, w_box = class_weights(new_detector(num_classes=3))
    assert torch.equal(embeddings_of("cls"), w_cls)
    assert torch.equal(embeddings_of("box"), w_box)
    assert torch.equal(embeddings_of("cls+box"), torch.cat([w_cls, w_box], dim=1))
    assert torch.equal(embeddings_of("embedding"), noise(4, 6))


def test_random_vectors_do_not_depend_on_the_detector() -> None:
    torch.manual_seed(5)
    first = class_embeddings(new_detector(3, seed=0), config_of("randn"))
    torch.manual_seed(6)
    assert torch.equal(first, class_embeddings(new_detector(3, seed=5), config_of("randn")))
    assert first.std() == pytest.approx(1, abs=0.2) and len(first.unique(dim=0)) == 4


@pytest.mark.parametrize("kind", INPUTS)
def test_every_input_is_as_wide_as_t_expects(kind: TransferInput) -> None:
    embeddings = embeddings_of(kind)
    assert embeddings.shape == (4, embedding_size(config_of(kind), BOX_DIM))
    assert transfer_of(config_of(kind))(embeddings).shape == (4, 5)


@pytest.mark.parametrize("scale", ["none", "unit", "standard"])
@pytest.mark.parametrize("kind", INPUTS)
def test_the_rows_of_some_labels_are_those_among_all(kind: TransferInput, scale: Any) -> None:
    labels = torch.tensor([3, 1])
    config = config_of(kind, transfer_scale=scale)
    some = class_embeddings(new_detector(num_classes=3), config, noise(4, 6), labels)
    torch.testing.assert_close(some, embeddings_of(kind, transfer_scale=scale)[labels])


@pytest.mark.parametrize("scale", ["none", "unit", "standard"])
@pytest.mark.parametrize("kind", ["cls", "box", "cls+box"])
def test_the_box_head_gets_a_gradient_only_where_it_is_not_stopped(kind: TransferInput, scale: Any) -> None:
    assert not embeddings_of(kind, transfer_scale=scale).requires_grad
    detector = new_detector(num_classes=3)
    rows = class_embeddings(detector, config_of(kind, transfer_scale=scale, stop_gradient=False))
    (rows * noise(*rows.shape)).sum().backward()
    predictor = detector.roi_heads.box_predictor
    reached = {"cls": predictor.cls_score.weight, "box": predictor.bbox_pred.weight}
    for name, weight in reached.items():
        assert (weight.grad is not None) == (name in kind)
        assert weight.grad is None or weight.grad.isfinite().all()


@pytest.mark.parametrize(("layers", "activation"), TABLE_1B)
def test_structures_are_those_of_table_1b(layers: int, activation: Activation) -> None:
    transfer = transfer_of(config_of(transfer_layers=layers, activation=activation))
    linear = [m for m in transfer.modules() if isinstance(m, nn.Linear)]
    assert [m.in_features for m in linear] == [5 * BOX_DIM, 7, 7][:layers]
    assert [m.out_features for m in linear] == [7] * (layers - 1) + [5]
    between = [m for m in transfer.layers if not isinstance(m, nn.Linear)]
    assert [type(m) for m in between] == [nn.LeakyReLU if activation == "leaky_relu" else nn.ReLU] * (layers - 1)
    assert all(m.negative_slope == 0.1 for m in between if isinstance(m, nn.LeakyReLU))


@pytest.mark.parametrize("layers", [1, 2])
def test_one_layer_is_affine_and_two_are_not(layers: int) -> None:
    transfer = transfer_of(config_of(transfer_layers=layers))
    a, b = noise(2, 5 * BOX_DIM).split(1)
    middle, between = transfer((a + b) / 2), (transfer(a) + transfer(b)) / 2
    assert torch.allclose(middle, between, atol=1e-5) == (layers == 1)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_t_starts_as_the_authors_framework_starts_it(layers: int) -> None:
    torch.manual_seed(0)
    transfer = TransferFunction(MaskConfig(transfer_layers=layers), box_dim=1024)
    for linear in (m for m in transfer.modules() if isinstance(m, nn.Linear)):
        assert linear.weight.std().item() == pytest.approx((2 / linear.out_features) ** 0.5, rel=0.02)
        assert linear.bias is not None and not linear.bias.any()


def test_unit_rows_keep_their_direction_and_have_norm_1() -> None:
    rows = noise(4, 6) * torch.tensor([[0.001], [1], [30], [0]])
    unit = scaled_rows(rows, "unit")
    torch.testing.assert_close(unit[:3].norm(dim=1), torch.ones(3))
    torch.testing.assert_close(unit[:3] * rows[:3].norm(dim=1, keepdim=True), rows[:3])
    assert not unit[3].any()


def test_unit_scales_cls_and_box_apart() -> None:
    both = embeddings_of("cls+box", transfer_scale="unit")
    apart = [embeddings_of(kind, transfer_scale="unit") for kind in ("cls", "box")]
    assert torch.equal(both, torch.cat(apart, dim=1))


def test_standard_columns_have_mean_0_and_one_deviation_over_the_classes() -> None:
    rows = noise(9, 6) * torch.tensor([0.01, 1, 0, 0.1, 5, 0.02]) + 3
    standard = scaled_rows(rows, "standard")
    torch.testing.assert_close(standard[1:].mean(0), torch.zeros(6), rtol=0, atol=1e-3)
    differing = [0, 1, 3, 4, 5]
    torch.testing.assert_close(standard[1:, differing].std(0, correction=0), torch.full((5,), 6**-0.5))
    assert not standard[:, 2].any()  # the same for all classes
    assert standard[1:].square().sum(1).mean().item() == pytest.approx(5 / 6, rel=1e-3)  # norms of about 1
    rows[0] = 100
    assert torch.equal(scaled_rows(rows, "standard")[1:], standard[1:])  # whatever the background's row is


def test_dropout_acts_in_training_only_and_leaves_no_state() -> None:
    transfer, plain = (transfer_of(config_of(transfer_dropout=share)) for share in (0.5, 0.0))
    rows = embeddings_of("cls+box")
    assert len(list(transfer.state_dict())) == len(list(plain.state_dict())) == 4
    torch.manual_seed(3)
    first, second = transfer(rows), transfer(rows)
    torch.manual_seed(3)
    assert torch.equal(transfer(rows), first) and not torch.equal(first, second)
    assert torch.equal(transfer.eval()(rows), plain(rows))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transfer_layers": 0}, "T needs at least one layer, got 0"),
        ({"transfer_dropout": 1.0}, "a fraction from 0 to below 1 is needed, got 1.0"),
        ({"transfer_weight_decay": -1.0}, "transfer_weight_decay: a number from 0 is needed, got -1.0"),
        ({"transfer_weight_decay": float("nan")}, "transfer_weight_decay: a number from 0 is needed, got nan"),
        ({"transfer_input": "embedding"}, "word vectors and their width go together"),
        ({"embedding_dim": 300}, "word vectors and their width go together"),
        ({"class_bias": True}, "kind 'transfer' has no weights of each class; use shared_bias"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MaskConfig(**options)
