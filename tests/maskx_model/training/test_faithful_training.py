"""Checked against others' code: torchvision's Mask R-CNN with the same weights and the same draws learns the same.

The masks are of every class, the mask weights class-specific, the MLP off: what is left is Mask R-CNN. The images
have the network's size, for torchvision scales masks to it and we do not.
"""

import torch
from torch import Tensor, nn

from maskx_model.data.samples import Sample
from maskx_model.model.mask_loss import mask_loss
from maskx_model.training.detector_step import detector_step
from maskx_model.training.joint import measured_joint_losses
from maskx_model.training.roi_sampling import sampled_rois
from maskx_model.training.stage2 import freeze
from maskx_model.training.task import Losses
from tests.maskx_model.samples import bitmap, busy_samples
from tests.maskx_model.torchvisions import CLASSES, CONFIG, model_of, torchvisions

DETECTOR_LOSSES = {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}


def large_samples() -> list[Sample]:
    """Of the size that the network scales to, with objects of every class."""
    samples = busy_samples(11, count=3, classes=CLASSES, size=(CONFIG.min_size, CONFIG.max_size))
    assert len(torch.cat([sample.labels for sample in samples]).unique()) > 4
    return samples


def given_to_torchvision(samples: list[Sample]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    targets = [
        {
            **sample.target(),
            "masks": torch.stack([torch.from_numpy(bitmap(mask)) for mask in sample.masks if mask]).to(torch.uint8),
        }
        for sample in samples
    ]
    return [sample.image_tensor() for sample in samples], targets


def assert_same_losses_and_gradients(
    ours: Losses, theirs: Losses, parameters: dict[str, nn.Parameter], own: tuple[nn.Parameter, nn.Parameter] | None
) -> None:
    """`parameters` are of layers in both models, `own` the two models' mask weights."""
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-5)
    pairs = {name: (each, each) for name, each in parameters.items()} | ({"mask weights": own} if own else {})
    first, second = zip(*pairs.values(), strict=True)
    found = torch.autograd.grad(torch.stack(list(ours.values())).sum(), first)
    expected = torch.autograd.grad(torch.stack(list(theirs.values())).sum(), second)
    for name, gradient, reference in zip(pairs, found, expected, strict=True):
        assert reference.any(), name
        apart = (gradient - reference.view_as(gradient)).norm() / reference.norm()
        assert apart < 1e-5, name


def test_the_detectors_losses_and_gradients_equal_torchvisions() -> None:
    model, samples = model_of("class_specific").train(), large_samples()
    reference = torchvisions(model).train()
    torch.manual_seed(3)
    ours = detector_step(model.detector, samples, box_loss_weight=1.0).losses
    torch.manual_seed(3)
    theirs = reference(*given_to_torchvision(samples))
    theirs = {name: theirs[name] for name in DETECTOR_LOSSES}
    assert_same_losses_and_gradients(ours, theirs, dict(model.detector.named_parameters()), None)


def test_stage_2s_loss_and_gradients_equal_torchvisions() -> None:
    """The detector is frozen and in eval mode; RoIs are drawn as the box head draws them."""
    model, samples = model_of("class_specific"), large_samples()
    freeze(model.detector)
    torch.manual_seed(3)
    rois = sampled_rois(model.detector, samples)
    ours = {"loss_mask": mask_loss(model.mask_branch(rois.features, rois.labels, model.embeddings()), rois.targets)}
    reference = torchvisions(model).eval()
    images, targets = reference.transform(*given_to_torchvision(samples))
    pyramid = reference.backbone(images.tensors)
    proposals, _ = reference.rpn(images, pyramid)
    torch.manual_seed(3)
    _, theirs = reference.roi_heads.train()(pyramid, proposals, images.image_sizes, targets)
    own = (model.mask_branch.weights, reference.roi_heads.mask_predictor.mask_fcn_logits.weight)
    parameters = dict(model.mask_branch.features.named_parameters())
    assert_same_losses_and_gradients(ours, {"loss_mask": theirs["loss_mask"]}, parameters, own)


def test_all_five_losses_and_every_gradient_equal_torchvisions_end_to_end() -> None:
    model, samples = model_of("class_specific").train(), large_samples()
    reference = torchvisions(model).train()
    torch.manual_seed(3)
    ours = measured_joint_losses(model, samples, box_loss_weight=1.0).losses
    torch.manual_seed(3)
    theirs = reference(*given_to_torchvision(samples))
    assert ours.keys() == DETECTOR_LOSSES | {"loss_mask"}
    own = (model.mask_branch.weights, reference.roi_heads.mask_predictor.mask_fcn_logits.weight)
    parameters = {name: each for name, each in model.named_parameters() if each is not own[0]}
    assert_same_losses_and_gradients(ours, theirs, parameters, own)
