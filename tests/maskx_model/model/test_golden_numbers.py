"""Every loss, target and prediction of the model, pinned at fixed seeds.

A change that moves one of these numbers changes what is trained. Where that is meant, print the new ones and say in
the commit why they moved.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from maskx_model.config import MaskConfig, ModelConfig
from maskx_model.masks.targets import mask_targets
from maskx_model.model.mask_branch import MaskBranch
from maskx_model.model.mask_loss import mask_loss
from maskx_model.model.maskx_rcnn import MaskXRCNN
from maskx_model.model.transfer import TransferFunction, class_embeddings
from maskx_model.training.detector_step import detector_step
from maskx_model.training.roi_sampling import RoiBatch, sampled_rois
from tests.maskx_model.samples import busy_samples, frozen_detector, new_detector, noise
from tests.maskx_model.tiny_presets import DETECTOR


def close(actual: Tensor, expected: float | list[float]) -> None:
    assert actual.tolist() == pytest.approx(expected, rel=2e-4, abs=2e-5)


def summary(x: Tensor) -> Tensor:
    """Mean, spread, and the numbers at a quarter, half and the end: enough to notice any change."""
    flat = x.detach().flatten().float()
    return torch.stack([flat.mean(), flat.std(), flat[len(flat) // 4], flat[len(flat) // 2], flat[-1]])


def test_mask_loss() -> None:
    logits, targets = noise(3, 28, 28), noise(3, 28, 28, seed=1).sigmoid()
    close(mask_loss(logits, targets), 0.808646)


def test_mask_targets() -> None:
    (sample,) = busy_samples(3, count=1)
    targets = mask_targets(sample.masks, sample.boxes + noise(4, 4), torch.arange(4))
    close(targets.mean(dim=(1, 2)), [0.732899, 0.871975, 0.733476, 0.77656])
    close(targets[:, 2, 5], [0.0, 1.0, 0.571596, 1.0])
    assert bool(((targets > 0) & (targets < 1)).any())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"transfer_input": "cls"}, [0.141603, 0.593941, 0.658312, -0.786052, -0.515581]),
        ({"transfer_input": "box"}, [-0.015722, 0.826878, -1.158993, 0.091649, 0.222487]),
        ({"transfer_input": "cls+box"}, [-0.109645, 0.734102, 0.087831, 0.340044, -0.55092]),
        ({"transfer_input": "randn"}, [0.708017, 2.969707, 3.29156, -3.930259, -2.577906]),
        ({"transfer_input": "embedding", "embedding_dim": 12}, [0.060503, 2.20178, -0.179955, 2.112019, -1.69584]),
        ({"transfer_layers": 1}, [-0.212659, 1.018059, -0.14987, 0.236841, -0.372898]),
        ({"activation": "relu"}, [-0.143673, 0.742738, -0.043301, 0.351414, -0.651964]),
        ({"transfer_layers": 3, "activation": "relu"}, [0.173216, 0.510611, -0.427145, -0.574879, 0.964377]),
        ({"transfer_layers": 3}, [0.196605, 0.583633, -0.209725, -0.71821, 0.891218]),
        ({"transfer_scale": "unit"}, [-0.114488, 0.662593, 0.274171, 0.186965, -0.59213]),
        ({"transfer_scale": "standard"}, [-0.252044, 0.854398, 0.565001, 0.138007, -1.042426]),
    ],
)
def test_output_of_t(options: dict[str, Any], expected: list[float]) -> None:
    config = MaskConfig(transfer_hidden=16, channels=8, **options)
    embeddings = class_embeddings(new_detector(), config, noise(6, 12))
    torch.manual_seed(0)
    close(summary(TransferFunction(config, DETECTOR.box_dim)(embeddings)), expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mlp": "paper"}, [-0.902376, 2.267011, -0.010523, -4.07029, -0.516189]),
        ({"mlp": "light"}, [-0.901999, 2.266283, -0.024089, -4.083984, -0.525494]),
        ({"mlp": "none"}, [-0.902172, 2.266185, -0.017116, -4.087296, -0.522048]),
        ({"mlp": "none", "transfer_dropout": 0.5}, [-1.432792, 4.264476, 0.024207, -9.833222, -0.23751]),
        ({"mlp": "none", "kind": "class_agnostic"}, [5.1e-05, 0.000763, 6e-06, -0.001079, -0.000291]),
        ({"mlp": "none", "kind": "class_specific"}, [0.051855, 0.322337, -0.012176, -0.447912, -0.06104]),
        (
            {"mlp": "none", "head": "hourglass", "hourglass_layers": 20},
            [4.169053, 2.657851, 1.6966, 3.348486, 0.284742],
        ),
        ({"mlp": "none", "head": "hourglass"}, [3.484475, 2.762479, 2.268754, 0.860384, 7.48743]),
    ],
)
def test_fused_logits(options: dict[str, Any], expected: list[float]) -> None:
    torch.manual_seed(0)
    config = MaskConfig(convolutions=2, channels=8, **options)
    branch = MaskBranch(config, in_channels=6, box_dim=4, num_classes=7)
    logits = branch(noise(5, 6, 14, 14), torch.tensor([7, 1, 3, 3, 2]), noise(8, 20, seed=1))
    close(summary(logits), expected)


def test_detector_losses() -> None:
    detector = new_detector()
    torch.manual_seed(0)
    losses = detector_step(detector, busy_samples(0), box_loss_weight=0.5).losses
    expected = {
        "loss_classifier": 2.038187,
        "loss_box_reg": 0.541507,
        "loss_objectness": 0.693235,
        "loss_rpn_box_reg": 0.001945,
    }
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("cached_proposals", "labels", "targets", "features"),
    [
        (
            None,
            [3, 5, 3, 5, 2, 5, 3, 3, 1, 1, 4, 3, 4, 3, 1, 3],
            [0.68532, 0.445531, 0.0, 0.812702, 0.0],
            [0.094089, 0.141624, 0.012902, 0.0, 0.0],
        ),
        (
            1,
            [2, 3, 5, 2, 2, 3, 5, 2, 3, 1, 4, 3, 3, 1, 4, 3],
            [0.722839, 0.424602, 0.0, 0.0, 0.0],
            [0.093535, 0.140246, 0.00587, 0.020397, 0.0],
        ),
    ],
)
def test_sampled_rois(
    cached_proposals: int | None, labels: list[int], targets: list[float], features: list[float]
) -> None:
    rois = rois_of(cached_proposals)
    assert rois.labels.tolist() == labels
    close(summary(rois.targets), targets)
    close(summary(rois.features), features)


def rois_of(cached_proposals: int | None) -> RoiBatch:
    detector = frozen_detector()
    torch.manual_seed(0)
    return sampled_rois(detector, busy_samples(1), cached_proposals)


def test_predictions() -> None:
    detector = new_detector()
    with torch.no_grad():
        # Scores far apart, so that no rounding changes their order.
        detector.roi_heads.box_predictor.cls_score.weight.mul_(10)
    model = MaskXRCNN(ModelConfig(DETECTOR, MaskConfig(convolutions=1, channels=8)), 5, detector).eval()
    first, second = model([sample.image_tensor() for sample in busy_samples(2)])
    assert first["labels"].bincount().tolist() == [0, 98, 0, 0, 0, 2]
    close(first["scores"][:4], [0.313347, 0.30801, 0.296128, 0.294314])
    close(summary(second["boxes"])[:2], [33.938, 19.434561])
    close(summary(second["masks"])[:2], [0.506374, 0.017495])
