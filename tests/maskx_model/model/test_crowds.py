"""Crowds: boxes inside them are ignored, by proposals, anchors and losses."""

import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork

from maskx_model.model.crowds import CROWD_LABEL, inside_crowd
from maskx_model.training.detector_step import detector_step
from tests.maskx_model.model.test_detector import random_boxes
from tests.maskx_model.samples import new_detector, sample


def test_boxes_are_in_a_crowd_by_the_fraction_of_their_own_area() -> None:
    crowds = torch.tensor([[0.0, 0.0, 20.0, 20.0], [40.0, 40.0, 60.0, 60.0]])
    boxes = torch.tensor(
        [[5.0, 5.0, 10.0, 10.0], [10.0, 0.0, 24.0, 10.0], [10.0, 0.0, 24.4, 10.0], [41.0, 41.0, 61.0, 45.0]]
    )
    assert inside_crowd(boxes, crowds).tolist() == [True, True, False, True]
    assert inside_crowd(boxes, crowds[:0]).tolist() == [False] * 4
    assert inside_crowd(boxes[:0], crowds).tolist() == []


def test_without_a_crowd_proposals_and_anchors_are_labeled_as_torchvision_does() -> None:
    detector = new_detector()
    objects, proposals = [random_boxes(4, 0), random_boxes(0, 0)], [random_boxes(60, 1), random_boxes(60, 2)]
    labels = [torch.tensor([1, 5, 2, 2]), torch.zeros(0, dtype=torch.int64)]
    ours = detector.roi_heads.assign_targets_to_proposals(proposals, objects, labels)
    theirs = RoIHeads.assign_targets_to_proposals(detector.roi_heads, proposals, objects, labels)
    assert all(torch.equal(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))
    assert (theirs[1][0] > 0).any() and (theirs[1][0] == 0).any()

    targets = [{"boxes": b, "labels": each} for b, each in zip(objects, labels, strict=True)]
    ours = detector.rpn.assign_targets_to_anchors(proposals, targets)
    theirs = RegionProposalNetwork.assign_targets_to_anchors(detector.rpn, proposals, targets)
    assert all(torch.equal(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))


def crowded() -> tuple[Tensor, Tensor]:
    """A crowd on the left, listed first, and an object on the right."""
    return torch.tensor([[0.0, 0.0, 40.0, 60.0], [44.0, 10.0, 60.0, 40.0]]), torch.tensor([CROWD_LABEL, 3])


def test_proposals_in_a_crowd_are_ignored_and_the_others_labeled() -> None:
    boxes, labels = crowded()
    proposals = torch.tensor(
        [[0.0, 0.0, 40.0, 60.0], [2.0, 2.0, 20.0, 20.0], [44.0, 11.0, 60.0, 40.0], [20.0, 0.0, 60.0, 9.0]]
    )
    matched, found = new_detector().roi_heads.assign_targets_to_proposals([proposals], [boxes], [labels])
    assert found[0].tolist() == [-1, -1, 3, 0]
    assert matched[0][2].item() == 1  # counted among all the boxes, crowds too


def test_an_object_in_front_of_a_crowd_stays_an_object() -> None:
    boxes = torch.tensor([[0.0, 0.0, 60.0, 60.0], [20.0, 20.0, 40.0, 40.0]])
    labels = torch.tensor([CROWD_LABEL, 2])
    _, found = new_detector().roi_heads.assign_targets_to_proposals([boxes[1:] + 1], [boxes], [labels])
    assert found[0].tolist() == [2]


def test_anchors_in_a_crowd_are_ignored_and_the_others_labeled() -> None:
    boxes, labels = crowded()
    anchors = torch.tensor([[2.0, 2.0, 20.0, 20.0], [44.0, 11.0, 60.0, 40.0], [20.0, 0.0, 60.0, 9.0]])
    found, _ = new_detector().rpn.assign_targets_to_anchors([anchors], [{"boxes": boxes, "labels": labels}])
    assert found[0].tolist() == [-1.0, 1.0, 0.0]


def test_an_image_of_nothing_but_a_crowd_has_no_positive_and_finite_losses() -> None:
    detector = new_detector()
    torch.manual_seed(0)
    image = sample([(5, 5, 60, 60)], [CROWD_LABEL])
    losses = detector_step(detector, [image, image], 1.0).losses
    assert all(torch.isfinite(value) for value in losses.values())
    assert losses["loss_box_reg"] == 0 and losses["loss_rpn_box_reg"] == 0


def test_images_that_crowds_fill_give_box_losses_of_zero_and_leave_the_batch_norm_alone() -> None:
    detector = new_detector()
    before = {name: value.clone() for name, value in detector.roi_heads.state_dict().items()}
    full = sample([(0, 0, 64, 64)], [CROWD_LABEL])
    losses = detector_step(detector, [full, full], 1.0).losses
    assert losses["loss_classifier"] == 0 and losses["loss_box_reg"] == 0
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in detector.roi_heads.parameters())
    assert all(torch.equal(value, before[name]) for name, value in detector.roi_heads.state_dict().items())
