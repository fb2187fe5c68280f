"""Checked against others' code: torchvision's Mask R-CNN with the same weights finds the same."""

import pytest
import torch
from torch import Tensor

from maskx_model.config import MaskKind
from tests.maskx_model.torchvisions import model_of, torchvisions


@pytest.mark.parametrize("kind", ["class_specific", "transfer"])
def test_detections_and_masks_equal_torchvisions_mask_rcnn(kind: MaskKind) -> None:
    model = model_of(kind)
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, *size, generator=generator) for size in ((64, 80), (70, 60))]
    with torch.no_grad():
        found, encoded, theirs = model(images), model.encode(images), torchvisions(model)
        proposals, _ = theirs.rpn(_image_list(encoded.tensors, encoded.sizes), encoded.pyramid)
        expected, _ = theirs.roi_heads(encoded.pyramid, proposals, encoded.sizes)
    for ours, other in zip(found, expected, strict=True):
        assert len(ours["boxes"]) > 20
        assert torch.equal(ours["labels"], other["labels"])
        torch.testing.assert_close(ours["scores"], other["scores"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours["masks"], other["masks"], rtol=1e-5, atol=1e-5)
    spread = torch.cat([each["masks"].flatten() for each in found]).std()
    assert spread > 0.05  # masks that say something


def test_boxes_equal_torchvisions_in_the_original_images_pixels() -> None:
    model = model_of("class_specific")
    images = [torch.rand(3, 90, 120, generator=torch.Generator().manual_seed(2))]
    theirs = torchvisions(model)
    theirs.roi_heads.mask_roi_pool = None  # boxes alone: torchvision pastes masks into the image
    with torch.no_grad():
        ours, other = model(images)[0], theirs(images)[0]
    torch.testing.assert_close(ours["boxes"], other["boxes"], rtol=1e-5, atol=1e-4)
    assert torch.equal(ours["labels"], other["labels"])


def _image_list(tensors: Tensor, sizes: list[tuple[int, int]]) -> object:
    from torchvision.models.detection.image_list import ImageList

    return ImageList(tensors, sizes)
