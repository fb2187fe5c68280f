"""The mask branch (§3.1, §3.4): the numbers of the K × 28 × 28 way, at a cost that does not depend on K."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from maskx_model.config import MaskConfig, MaskHead, MaskKind, MlpBranch
from maskx_model.model.mask_branch import MASK_SIZE, ROI_SIZE, MaskBranch
from maskx_model.model.mask_loss import mask_loss
from tests.maskx_model.recorder import Recorder

IN_CHANNELS, BOX_DIM, ROIS = 6, 5, 12
KINDS: tuple[MaskKind, ...] = ("transfer", "class_agnostic", "class_specific")


def branch_of(
    num_classes: int, kind: MaskKind = "transfer", mlp: MlpBranch = "light", head: MaskHead = "fcn4"
) -> MaskBranch:
    torch.manual_seed(0)
    small = MaskConfig(transfer_hidden=7, convolutions=2, hourglass_layers=10, channels=4)
    config = replace(small, kind=kind, mlp=mlp, head=head, shared_bias=True, class_bias=kind == "class_specific")
    branch = MaskBranch(config, IN_CHANNELS, BOX_DIM, num_classes)
    for bias in (branch.bias, branch.class_bias):
        if bias is not None:
            torch.nn.init.normal_(bias)
    return branch


def inputs(num_classes: int, distinct: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """RoI features, labels of a few distinct classes, and w_det of all labels."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(ROIS, IN_CHANNELS, ROI_SIZE, ROI_SIZE, generator=generator)
    chosen = torch.randperm(num_classes, generator=generator)[:distinct] + 1
    embeddings = torch.randn(num_classes + 1, 5 * BOX_DIM, generator=generator)
    return features, chosen[torch.arange(ROIS) % distinct], embeddings


def every_class_way(branch: MaskBranch, features: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
    """What the paper's text says: predict K × 28 × 28 logits, then look at each RoI's own."""
    mask_features = branch.features(features)
    w_seg = branch.transfer(embeddings) if branch.kind == "transfer" else branch.weights.expand(len(embeddings), -1)
    all_logits = F.conv2d(mask_features, w_seg[:, :, None, None])
    logits = all_logits.gather(1, labels[:, None, None, None].expand(-1, 1, MASK_SIZE, MASK_SIZE))[:, 0]
    if branch.class_bias is not None:
        logits = logits + branch.class_bias[labels][:, None, None]
    if branch.bias is not None:
        logits = logits + branch.bias
    if branch.mlp is not None:
        logits = logits + branch.mlp(mask_features)
    return logits


def bytes_created(
    num_classes: int, kind: MaskKind, forward: Callable[[MaskBranch, Tensor, Tensor, Tensor], Tensor]
) -> list[int]:
    branch = branch_of(num_classes, kind)
    features, labels, embeddings = inputs(num_classes)
    recorder = Recorder()
    with recorder:
        logits = forward(branch, features, labels, embeddings)
        mask_loss(logits, torch.ones_like(logits)).backward()
    return recorder.bytes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mlp", "head"), [("none", "fcn4"), ("paper", "fcn4"), ("light", "fcn4"), ("light", "hourglass")]
)
def test_logits_and_gradients_equal_the_way_over_all_classes(kind: MaskKind, mlp: MlpBranch, head: MaskHead) -> None:
    branch = branch_of(9, kind, mlp, head)
    features, labels, embeddings = inputs(9)
    logits, expected = branch(features, labels, embeddings), every_class_way(branch, features, labels, embeddings)
    torch.testing.assert_close(logits, expected)
    parameters = list(branch.parameters())
    target = torch.rand(logits.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(mask_loss(logits, target), parameters)
    expected_gradients = torch.autograd.grad(mask_loss(expected, target), parameters)
    torch.testing.assert_close(gradients, expected_gradients)


@pytest.mark.parametrize("kind", ["transfer", "class_agnostic"])
def test_nothing_grows_with_the_number_of_classes(kind: MaskKind) -> None:
    few, many = bytes_created(80, kind, MaskBranch.__call__), bytes_created(3001, kind, MaskBranch.__call__)
    assert max(many) == max(few)
    assert sum(many) == sum(few)


def test_a_weight_for_each_class_costs_its_own_rows_and_no_masks() -> None:
    few, many = (bytes_created(k, "class_specific", MaskBranch.__call__) for k in (80, 3001))
    assert max(many) == max(few)
    rows = [(k + 1) * 5 * 4 for k in (80, 3001)]  # float32, 4 channels and a bias: the gradient of the weights
    assert 0 < sum(many) - sum(few) <= 4 * (rows[1] - rows[0])


def test_the_recorder_sees_masks_of_all_classes_where_there_are_any() -> None:
    assert max(bytes_created(500, "transfer", every_class_way)) >= ROIS * 501 * MASK_SIZE**2 * 4


def test_the_transfer_runs_once_for_each_distinct_label() -> None:
    branch = branch_of(3001)
    _, labels, embeddings = inputs(3001, distinct=3)
    seen: list[int] = []
    branch.transfer.register_forward_hook(lambda _module, args, _result: seen.append(len(args[0])))
    w_seg = branch.class_weights(labels, embeddings)
    assert seen == [3]
    torch.testing.assert_close(w_seg, branch.transfer(embeddings[labels]))


@pytest.mark.parametrize("head", ["fcn4", "hourglass"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_roi_gives_loss_zero_and_a_gradient_for_every_parameter(kind: MaskKind, head: MaskHead) -> None:
    branch = branch_of(9, kind, head=head)
    features, labels, embeddings = inputs(9)
    logits = branch(features[:0], labels[:0], embeddings)
    assert logits.shape == (0, MASK_SIZE, MASK_SIZE)
    loss = mask_loss(logits, torch.zeros(0, MASK_SIZE, MASK_SIZE))
    loss.backward()
    assert loss.item() == 0
    for name, parameter in branch.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name


def test_the_papers_branch_has_its_layers_and_sizes() -> None:
    with torch.device("meta"):
        branch = MaskBranch(MaskConfig(), in_channels=256, box_dim=1024, num_classes=3000)
    sizes = {name: tuple(p.shape) for name, p in branch.named_parameters() if name.startswith(("transfer", "mlp"))}
    assert sizes == {
        "transfer.layers.0.weight": (256, 5120),
        "transfer.layers.0.bias": (256,),
        "transfer.layers.2.weight": (256, 256),
        "transfer.layers.2.bias": (256,),
        "mlp.1.weight": (784, 200_704),
        "mlp.1.bias": (784,),
    }
    assert branch.bias is None


def test_only_the_rows_of_the_classes_at_hand_get_a_gradient() -> None:
    branch = branch_of(9, "class_specific")
    features, labels, embeddings = inputs(9, distinct=3)
    mask_loss(branch(features, labels, embeddings), torch.zeros(ROIS, MASK_SIZE, MASK_SIZE)).backward()
    seen = labels.unique().tolist()
    for rows in (branch.weights, branch.class_bias):
        assert rows is not None and rows.grad is not None
        assert rows.grad.view(10, -1).abs().sum(1).nonzero()[:, 0].tolist() == seen


@pytest.mark.parametrize(("kind", "rows", "deviation"), [("class_agnostic", 1, 0.001), ("class_specific", 81, 0.157)])
def test_learned_weights_start_as_the_authors(kind: MaskKind, rows: int, deviation: float) -> None:
    torch.manual_seed(0)
    branch = MaskBranch(MaskConfig(kind=kind, mlp="none", convolutions=0), in_channels=256, box_dim=1, num_classes=80)
    assert branch.weights.shape == (rows, 256)
    assert branch.weights.std().item() == pytest.approx(deviation, rel=0.1)
