"""The RPN that chooses before it decodes: torchvision's very proposals and losses."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from maskx_model.model.rpn import CrowdAwareRPN
from tests.maskx_model.samples import new_detector
from tests.maskx_model.tiny_presets import DETECTOR

IMAGES = ImageList(torch.zeros(2, 3, 64, 96), [(64, 90), (60, 96)])


def rpn_and_pyramid(seed: int) -> tuple[CrowdAwareRPN, "OrderedDict[str, Tensor]"]:
    """An RPN whose boxes are of many sizes, some outside the image and some shrunk to nothing."""
    rpn = new_detector().rpn
    generator = torch.Generator().manual_seed(seed)
    nn.init.normal_(rpn.head.bbox_pred.weight, std=0.3, generator=generator)
    nn.init.normal_(rpn.head.cls_logits.weight, std=0.3, generator=generator)
    rpn.head.bbox_pred.bias.data[2] = -4.0
    levels = OrderedDict(
        (str(level), torch.randn(2, DETECTOR.fpn_channels, 16 >> level, 24 >> level, generator=generator) * 2)
        for level in range(3)
    )
    return rpn, levels


@pytest.mark.parametrize("top", [20, 300, 5000])
@pytest.mark.parametrize("seed", range(3))
def test_proposals_are_torchvisions(seed: int, top: int) -> None:
    rpn, levels = rpn_and_pyramid(seed)
    rpn.eval()._pre_nms_top_n["testing"] = top
    rpn.min_size = 2.0  # some are too small
    with torch.no_grad():
        found, losses = rpn(IMAGES, levels)
        expected, _ = RegionProposalNetwork.forward(rpn, IMAGES, levels)
    assert losses == {}
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) >= 20
        assert torch.equal(ours, theirs)


def test_losses_proposals_and_gradients_in_training_are_torchvisions() -> None:
    targets = [
        {"boxes": torch.tensor([[5.0, 5.0, 40.0, 30.0], [50.0, 20.0, 80.0, 60.0]]), "labels": torch.tensor([1, 2])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    rpn, levels = rpn_and_pyramid(0)
    rpn.train()
    runs = []
    for forward in (CrowdAwareRPN.forward, RegionProposalNetwork.forward):
        torch.manual_seed(0)
        rpn.zero_grad()
        proposals, losses = forward(rpn, IMAGES, levels, targets)
        torch.stack(list(losses.values())).sum().backward()
        runs.append([*proposals, *losses.values(), *(p.grad for p in rpn.parameters())])
    assert runs[0][3] > 0  # there are positives
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*runs, strict=True))


def test_only_the_top_anchors_are_decoded() -> None:
    rpn, levels = rpn_and_pyramid(0)
    rpn.eval()._pre_nms_top_n["testing"] = 30
    decoded: list[int] = []
    decode = rpn.box_coder.decode_single

    def counting(deltas: Tensor, boxes: Tensor) -> Tensor:
        decoded.append(len(boxes))
        result: Tensor = decode(deltas, boxes)
        return result

    rpn.box_coder.decode_single = counting
    with torch.no_grad():
        rpn(IMAGES, levels)
    assert decoded == [90, 90]  # three levels of 30; an image has 1512 anchors
