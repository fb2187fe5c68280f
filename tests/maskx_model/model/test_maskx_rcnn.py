"""The whole model at inference: T is a property of the weights, not of an image."""

import pytest
import torch
from torch import nn

from maskx_model.config import MaskConfig, MaskKind, ModelConfig
from maskx_model.model.maskx_rcnn import MaskXRCNN
from tests.maskx_model.samples import frozen_detector
from tests.maskx_model.tiny_presets import DETECTOR

IMAGES = [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
BOXES = [torch.tensor([[4.0, 4.0, 40.0, 40.0], [10.0, 20.0, 60.0, 50.0]]), torch.tensor([[0.0, 0.0, 64.0, 64.0]])]
LABELS = [torch.tensor([1, 5]), torch.tensor([5])]


def model_of(kind: MaskKind = "transfer") -> MaskXRCNN:
    torch.manual_seed(0)
    config = MaskConfig(kind=kind, convolutions=1, channels=8, mlp="none")
    return MaskXRCNN(ModelConfig(DETECTOR, config), 5, frozen_detector()).eval()


def count_calls(module: nn.Module) -> list[int]:
    """A list that grows by the number of rows at each call."""
    calls: list[int] = []
    module.register_forward_pre_hook(lambda _, arguments: calls.append(len(arguments[0])))
    return calls


def test_t_runs_once_for_all_classes_however_many_images_come() -> None:
    model = model_of()
    calls = count_calls(model.mask_branch.transfer)
    for _ in range(3):
        model.segment(model.encode(IMAGES), BOXES, LABELS)
    assert calls == [6]


@pytest.mark.parametrize("kind", ["transfer", "class_agnostic", "class_specific"])
def test_masks_equal_those_of_the_branch_in_training(kind: MaskKind) -> None:
    model = model_of(kind)
    encoded = model.encode(IMAGES)
    before = model.w_seg().clone()
    for _ in range(2):  # before and after the weights have changed
        w_seg = model.mask_branch.class_weights(torch.cat(LABELS), model.embeddings())
        torch.testing.assert_close(model.w_seg()[torch.cat(LABELS)], w_seg)
        masks = model.segment(encoded, BOXES, LABELS)
        assert [len(each) for each in masks] == [2, 1]
        with torch.no_grad():
            for parameter in [*model.mask_branch.parameters(), *model.detector.roi_heads.box_predictor.parameters()]:
                parameter.mul_(1.5)
    assert not torch.allclose(before, model.w_seg())


def test_w_seg_follows_a_step_that_torch_does_not_count_as_a_change() -> None:
    model = model_of()
    before = model.w_seg().clone()
    optimizer = torch.optim.AdamW(model.mask_branch.parameters(), lr=0.1, fused=True)
    for parameter in model.mask_branch.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    after = model.eval().w_seg()
    assert not torch.equal(after, before)
    assert torch.equal(after, model.mask_branch.class_weights(torch.arange(6), model.embeddings()))


def test_w_seg_of_another_precision_is_not_taken_from_the_cache() -> None:
    model = model_of()
    expected = model.w_seg().clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.w_seg().dtype == torch.bfloat16
    assert torch.equal(model.w_seg(), expected)


def test_many_boxes_are_segmented_in_groups_with_the_same_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    encoded = model.encode(IMAGES)
    boxes, labels = [each.repeat(4, 1) for each in BOXES], [each.repeat(4) for each in LABELS]
    expected = model.segment(encoded, boxes, labels)
    calls = count_calls(model.mask_branch.features)
    monkeypatch.setattr("maskx_model.model.maskx_rcnn.ROIS_AT_ONCE", 5)
    masks = model.segment(encoded, boxes, labels)
    assert calls == [5, 5, 2]
    torch.testing.assert_close(masks, expected)
