"""Every loss, target and prediction of the model, pinned at fixed seeds.

A change that moves one of these numbers changes what is trained. Where that is meant, print the new ones and say in
the commit why they moved.
"""

import pytest
import torch
from torch import Tensor

from maskx_model.config import MaskConfig, ModelConfig, TransferInput
from maskx_model.detector_training import detector_losses
from maskx_model.losses import mask_loss
from maskx_model.mask_head import MaskBranch
from maskx_model.maskx_rcnn import MaskXRCNN
from maskx_model.rois import RoiBatch, sampled_rois
from maskx_model.targets import decode_masks, mask_targets
from maskx_model.transfer import TransferFunction, class_embeddings
from tests.maskx_model.samples import busy_samples, frozen_detector, new_detector
from tests.maskx_model.tiny_presets import DETECTOR


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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
    masks = decode_masks([mask for mask in sample.masks if mask is not None])
    targets = mask_targets(masks, sample.boxes + noise(4, 4), torch.arange(4))
    close(targets.mean(dim=(1, 2)), [0.731938, 0.871296, 0.732945, 0.776335])
    close(targets[:, 2, 5], [0.0017, 1.0, 0.511971, 1.0])
    assert bool(((targets > 0) & (targets < 1)).any())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cls", [0.099137, 0.415822, 0.460888, -0.550319, -0.360961]),
        ("box", [-0.005504, 0.289451, -0.405709, 0.032082, 0.077882]),
        ("cls+box", [-0.03433, 0.229845, 0.0275, 0.106467, -0.172491]),
        ("randn", [0.495687, 2.079109, 2.30444, -2.751597, -1.804807]),
    ],
)
def test_output_of_t(kind: TransferInput, expected: list[float]) -> None:
    embeddings = class_embeddings(new_detector(), kind)
    torch.manual_seed(0)
    transfer = TransferFunction(MaskConfig(transfer_input=kind, transfer_hidden=16, channels=8), DETECTOR.box_dim)
    close(summary(transfer(embeddings)), expected)


@pytest.mark.parametrize(
    ("mlp", "expected"),
    [
        (True, [-0.565139, 1.419968, -0.004125, -2.542433, -0.321044]),
        (False, [-0.564934, 1.41907, -0.010718, -2.559438, -0.326903]),
    ],
)
def test_fused_logits(mlp: bool, expected: list[float]) -> None:
    torch.manual_seed(0)
    branch = MaskBranch(MaskConfig(convolutions=2, channels=8, mlp=mlp), in_channels=6, box_dim=4, num_classes=7)
    logits = branch(noise(5, 6, 14, 14), torch.tensor([7, 1, 3, 3, 2]), noise(8, 20, seed=1))
    close(summary(logits), expected)


def test_detector_losses() -> None:
    detector = new_detector()
    torch.manual_seed(0)
    losses = detector_losses(detector, busy_samples(0), box_loss_weight=0.5)
    expected = {
        "loss_classifier": 1.942943,
        "loss_box_reg": 0.242709,
        "loss_objectness": 0.693603,
        "loss_rpn_box_reg": 0.001918,
    }
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("cached_proposals", "labels", "targets", "features"),
    [
        (
            None,
            [2, 5, 2, 2, 5, 3, 2, 2, 1, 1, 1, 1, 4, 1, 3, 3],
            [0.720722, 0.425693, 0.0, 1.0, 0.0],
            [-0.033619, 0.385809, 0.017762, 0.101071, -0.296462],
        ),
        (
            1,
            [2, 3, 5, 2, 2, 3, 5, 2, 3, 1, 4, 3, 3, 1, 4, 3],
            [0.735614, 0.41473, 1.0, 0.0, 1.0],
            [-0.035476, 0.386945, 0.078319, -0.00444, -0.378166],
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
    assert first["labels"].bincount().tolist() == [0, 0, 0, 66, 0, 34]
    close(first["scores"][:4], [0.388105, 0.361849, 0.355358, 0.353535])
    close(summary(second["boxes"])[:2], [34.50227, 17.861483])
    close(summary(second["masks"])[:2], [0.540932, 0.186543])
