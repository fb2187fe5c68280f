"""Masks over the image: torchvision's pixels and pycocotools' run lengths, whatever the box."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision.models.detection.roi_heads import expand_boxes, expand_masks, paste_masks_in_image

from data_prep.format.records import Rle
from maskx_model.masks import pasting_cuda as pasting_on_gpu
from maskx_model.masks.pasting import MASK_THRESHOLD, encode_part, paste
from tests.maskx_model.recorder import Recorder


def whole_bitmaps(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> list[Rle]:
    """The same through bitmaps of the whole image."""
    bitmaps = paste_masks_in_image(masks[:, None], boxes, size)[:, 0] > MASK_THRESHOLD
    encoded = coco_mask.encode(np.asfortranarray(bitmaps.numpy().transpose(1, 2, 0), dtype=np.uint8))
    return [Rle(size, each["counts"].decode()) for each in encoded]


def blobs(count: int, seed: int) -> Tensor:
    """Smooth probabilities, float32 [N, 28, 28], with holes and several pieces."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 1, 5, 5, generator=generator)
    return torch.nn.functional.interpolate(coarse, (28, 28), mode="bicubic")[:, 0].mul(4).sigmoid()


@pytest.mark.parametrize("seed", range(4))
def test_masks_equal_torchvisions_in_any_box(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(40, 2, generator=generator) * 90
    boxes = torch.cat([corner, corner + torch.rand(40, 2, generator=generator) * 60], dim=1)
    size = (70, 110)
    boxes[:, 0::2] = boxes[:, 0::2].clamp(max=size[1])
    boxes[:, 1::2] = boxes[:, 1::2].clamp(max=size[0])
    masks = blobs(40, seed)
    assert paste(masks, boxes, size) == whole_bitmaps(masks, boxes, size)


def test_masks_that_fill_the_image_or_nothing() -> None:
    size = (30, 20)
    boxes = torch.tensor([[0.0, 0.0, 20.0, 30.0], [0.0, 0.0, 20.0, 30.0], [5.0, 0.0, 9.0, 30.0], [3.0, 3.0, 3.0, 3.0]])
    masks = torch.ones(4, 28, 28)
    masks[1] = 0
    found = paste(masks, boxes, size)
    assert found == whole_bitmaps(masks, boxes, size)
    assert coco_mask.area({"size": list(size), "counts": found[1].counts}) == 0
    assert paste(masks[:0], boxes[:0], size) == []


def test_no_bitmap_of_the_image_is_made() -> None:
    boxes = torch.tensor([[100.0, 200.0, 140.0, 260.0]]).repeat(50, 1)
    with Recorder() as recorder:
        paste(blobs(50, 0), boxes, (2000, 3000))
    assert max(recorder.bytes) < 50 * 30 * 30 * 4 + 1


@given(
    part=st.integers(1, 6).flatmap(
        lambda height: st.lists(st.lists(st.booleans(), min_size=height, max_size=height), min_size=1, max_size=6)
    ),
    place=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
)
def test_parts_encode_as_the_whole_image_does(part: list[list[bool]], place: tuple[int, int, int, int]) -> None:
    bitmap = np.array(part).T
    left, top, right, bottom = place
    image = np.pad(bitmap, ((top, bottom), (left, right)))
    whole = coco_mask.encode(np.asfortranarray(image, dtype=np.uint8))
    size = (image.shape[0], image.shape[1])
    assert encode_part(bitmap, left, top, size) == Rle(size, whole["counts"].decode())


DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(3))
def test_masks_pasted_together_are_those_pasted_one_by_one(
    seed: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pasting_on_gpu, "PIXELS_AT_ONCE", 70 * 110 * 7)
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(40, 2, generator=generator) * 110 - 20
    boxes = torch.cat([corner, corner + torch.rand(40, 2, generator=generator) * 60], dim=1)
    masks, size = blobs(40, seed), (70, 110)
    padded, scale = expand_masks(masks[:, None], padding=1)
    frames = expand_boxes(boxes, scale).long()
    found = pasting_on_gpu.paste_together(padded[:, 0].to(device), frames.to(device), size, MASK_THRESHOLD)
    expected = paste(masks, boxes, size)
    if device == "cpu":
        assert found == expected
    for one, other in zip(found, expected, strict=True):
        pair = [{"size": list(size), "counts": each.counts} for each in (one, other)]
        differing = coco_mask.area(coco_mask.merge(pair)) - coco_mask.area(coco_mask.merge(pair, intersect=True))
        assert differing <= 2


def test_no_bitmap_of_many_images_is_made_together() -> None:
    padded, frames = torch.rand(6, 30, 30), torch.tensor([[5, 5, 400, 300]]).repeat(6, 1)
    with Recorder() as recorder:
        pasting_on_gpu.paste_together(padded, frames, (5000, 8000), MASK_THRESHOLD)
    assert max(recorder.bytes) < 5000 * 8000 * 8 + 2**20
